#include "wire/control.h"
