#include "wire/provision.h"
