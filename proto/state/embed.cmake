# Turns the function library, whose parts are listed in IN in order, into a C array, so that programs carry it with them.
set(hex "")
foreach(part ${IN})
  file(READ ${part} part_hex HEX)
  string(APPEND hex ${part_hex})
endforeach()
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE ${OUT} "extern const char rz_store_library[];\nconst char rz_store_library[] = {${bytes}0};\n")
