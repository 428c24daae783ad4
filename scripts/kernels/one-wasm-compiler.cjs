// Preloaded into every Node of a guest: V8 translates WebAssembly once, with its optimizing compiler. By default it first
// makes quick code and replaces that from another thread while it runs, which at times crashes the process under the
// emulator (qemu 7.2 with a thread per processor): hash-wasm alone, without io_uring, was ended by SIGSEGV in eight of
// thirteen runs of 15 to 40 seconds, and in none of eight runs of 20 to 30 seconds with this setting.

require('node:v8').setFlagsFromString('--no-liftoff')
