#include "state/store.h"
