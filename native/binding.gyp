{
  "targets": [
    {
      "target_name": "tidemark",
      "sources": [
        "src/addon.cc",
        "src/addon_files.cc",
        "src/addon_session.cc",
        "src/addon_volume.cc",
        "src/backing.cc",
        "src/capture.cc",
        "src/crc32c.cc",
        "src/credentials.cc",
        "src/failpoint.cc",
        "src/file_io.cc",
        "src/file_times.cc",
        "src/inodes.cc",
        "src/intents.cc",
        "src/log.cc",
        "src/log_recovery.cc",
        "src/mounting.cc",
        "src/ops_attributes.cc",
        "src/ops_data.cc",
        "src/ops_directories.cc",
        "src/ops_names.cc",
        "src/ops_open.cc",
        "src/ops_rename.cc",
        "src/ops_write.cc",
        "src/packed.cc",
        "src/pieces.cc",
        "src/record.cc",
        "src/roll_forward.cc",
        "src/session.cc",
        "src/snapshots.cc",
        "src/transactions.cc",
        "src/volume.cc",
        "src/wakefulness.cc"
      ],
      "include_dirs": ["<!@(node -p \"require('node-addon-api').include\")"],
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS", "_GNU_SOURCE", "_FILE_OFFSET_BITS=64"],
      "cflags": ["-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-missing-field-initializers", "-O2", "-g"],
      "cflags_cc": ["-std=c++17", "-fno-exceptions", "-fno-rtti"],
      "cflags!": ["-fno-omit-frame-pointer", "-O3"]
    }
  ]
}
