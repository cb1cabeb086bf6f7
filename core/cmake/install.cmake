# What `cmake --install` puts where: library, header, CMake package, percepnet.pc, models and licence.

include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

install(TARGETS percepnet EXPORT percepnet
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
    INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES include/percepnet.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

# Sources that were taken without the Python package have no models beside them.
set(models_dir ${CMAKE_INSTALL_DATADIR}/percepnet)
file(GLOB models ../src/percepnet/model/weights/*.safetensors ../src/percepnet/model/weights/*.md)
install(FILES ${models} DESTINATION ${models_dir})
if(EXISTS ${PROJECT_SOURCE_DIR}/../LICENSE)
    install(FILES ../LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
endif()

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/percepnet)
install(EXPORT percepnet NAMESPACE percepnet:: FILE percepnetTargets.cmake DESTINATION ${package_dir})
configure_package_config_file(cmake/percepnetConfig.cmake.in percepnetConfig.cmake
    INSTALL_DESTINATION ${package_dir} PATH_VARS models_dir)
# Before 1.0 a new minor version may change what it likes.
write_basic_package_version_file(percepnetConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/percepnetConfig.cmake ${PROJECT_BINARY_DIR}/percepnetConfigVersion.cmake
    DESTINATION ${package_dir})

# For pkg-config all folders follow from that of the file, so that the whole may be moved; absolute ones stay.
function(pc_folder name folder)
    if(NOT IS_ABSOLUTE ${folder})
        set(folder "\${prefix}/${folder}")
    endif()
    set(pc_${name} ${folder} PARENT_SCOPE)
endfunction()
set(pc_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
if(IS_ABSOLUTE ${pc_dir})
    set(pc_prefix ${CMAKE_INSTALL_PREFIX})
else()
    file(RELATIVE_PATH up ${CMAKE_INSTALL_PREFIX}/${pc_dir} ${CMAKE_INSTALL_PREFIX})
    string(REGEX REPLACE "/$" "" pc_prefix "\${pcfiledir}/${up}")
endif()
pc_folder(libdir ${CMAKE_INSTALL_LIBDIR})
pc_folder(includedir ${CMAKE_INSTALL_INCLUDEDIR})
pc_folder(models_dir ${models_dir})
set(pc_cflags "-I\${includedir}")
if(library_type STREQUAL "STATIC_LIBRARY")
    string(APPEND pc_cflags " -DPERCEPNET_STATIC")
endif()
if(UNIX)
    set(pc_libs_private "-lm -pthread")
endif()
configure_file(percepnet.pc.in percepnet.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/percepnet.pc DESTINATION ${pc_dir})
