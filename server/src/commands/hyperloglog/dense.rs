//! The dense encoding: 6 bits for each register, the first in the lowest bits of the first byte.

use super::REGISTERS;

const BITS: usize = 6;
const MASK: u16 = (1 << BITS) - 1;

/// Bytes of all registers.
pub(super) const BYTES: usize = REGISTERS * BITS / 8;

/// Where a register begins: byte and bit.
fn place(register: usize) -> (usize, usize) {
    (register * BITS / 8, register * BITS % 8)
}

/// The two bytes that a register may lie in; the last register lies in one.
fn window(registers: &[u8], byte: usize) -> u16 {
    let high = registers.get(byte + 1).copied().unwrap_or(0);
    u16::from_le_bytes([registers[byte], high])
}

/// The rank in a register.
pub(super) fn get(registers: &[u8], register: usize) -> u8 {
    let (byte, bit) = place(register);
    (window(registers, byte) >> bit & MASK) as u8
}

/// Sets the rank in a register.
pub(super) fn set(registers: &mut [u8], register: usize, rank: u8) {
    let (byte, bit) = place(register);
    let cleared = window(registers, byte) & !(MASK << bit);
    let [low, high] = (cleared | u16::from(rank) << bit).to_le_bytes();
    registers[byte] = low;
    if let Some(next) = registers.get_mut(byte + 1) {
        *next = high;
    }
}

#[cfg(test)]
mod tests {
    use super::super::REGISTERS;
    use super::{BYTES, get, set};

    #[test]
    fn registers_do_not_touch_each_other() {
        let mut registers = vec![0; BYTES];
        for register in 0..REGISTERS {
            set(&mut registers, register, (register % 51) as u8);
        }
        for register in (0..REGISTERS).rev() {
            assert_eq!(get(&registers, register), (register % 51) as u8);
        }
    }
}
