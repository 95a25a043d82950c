#include "wire/link.h"
