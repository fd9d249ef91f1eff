//! Owns: the three functions of libm that the program and its crates call.
//! Never: other functions: the linker takes those from the system.
//!
//! libm chooses some hundred functions by the processor whenever it is loaded, which costs each command a
//! third of a millisecond. With these, the program does not need it.

#![expect(unsafe_code, reason = "a function that other crates link to by its name")]

// SAFETY of each: it has the name, the types and the meaning of the function in C.

#[unsafe(no_mangle)]
extern "C" fn exp2(x: f64) -> f64 {
    libm::exp2(x)
}

#[unsafe(no_mangle)]
extern "C" fn log(x: f64) -> f64 {
    libm::log(x)
}

#[unsafe(no_mangle)]
extern "C" fn pow(x: f64, y: f64) -> f64 {
    libm::pow(x, y)
}
