#include "wire/agents.h"
