#include "cmongo.h"
