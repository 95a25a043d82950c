#include "base/sock.h"
