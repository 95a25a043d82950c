#include "base/rc.h"
