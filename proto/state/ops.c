#include "state/ops.h"
