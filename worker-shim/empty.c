typedef int rz_empty_unit;
