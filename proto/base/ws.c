#include "base/ws.h"
