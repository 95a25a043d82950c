#include "wire/event.h"
