# Turns the function library into a C array, so that programs carry it with them.
file(READ ${IN} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE ${OUT} "extern const char rz_store_library[];\nconst char rz_store_library[] = {${bytes}0};\n")
