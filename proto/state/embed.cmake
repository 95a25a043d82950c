# Turns the function library, whose parts are listed in IN in order, into a C array, so that programs carry it with them; and tells its
# version, which stands in its first part.
set(hex "")
set(version "")
foreach(part ${IN})
  file(READ ${part} part_hex HEX)
  string(APPEND hex ${part_hex})
  file(STRINGS ${part} line REGEX "^local VERSION = '[0-9]+\\.[0-9]+'")
  if(line)
    string(REGEX REPLACE "^local VERSION = '([0-9.]+)'.*" "\\1" version "${line}")
  endif()
endforeach()
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE ${OUT} "extern const char rz_store_library[], rz_store_library_version[];
const char rz_store_library_version[] = \"${version}\";
const char rz_store_library[] = {${bytes}0};\n")
