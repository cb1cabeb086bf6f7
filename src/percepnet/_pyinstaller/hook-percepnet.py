"""The weights, the pages' parts and the C core: what PyInstaller does not find by looking at imports."""

from PyInstaller.utils.hooks import collect_data_files, collect_dynamic_libs

datas = collect_data_files("percepnet")
binaries = collect_dynamic_libs("percepnet", search_patterns=["_core.*"])
