#include "wire/job.h"
