"""foreign.py PLUGIN: loads a plugin of MLIR as a program does that has no MLIR, and prints the versions of the plugin
interface that it says it is for."""
import ctypes
import sys


class Info(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("name", ctypes.c_char_p), ("plugin", ctypes.c_char_p), ("register", ctypes.c_void_p)]


library = ctypes.CDLL(sys.argv[1], ctypes.RTLD_GLOBAL)
for name in ("mlirGetPassPluginInfo", "mlirGetDialectPluginInfo"):
    function = getattr(library, name)
    function.restype = Info
    print(function().version)
