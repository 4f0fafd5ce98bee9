//! G.711, expanded to 16-bit samples (ITU-T G.711, tables 1 and 2).

/// Which of the two laws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Law {
    /// PCMU
    Mu,
    /// PCMA
    A,
}

/// Little-endian 16-bit samples.
pub(super) fn expand(law: Law, payload: &[u8]) -> Vec<u8> {
    let sample = match law {
        Law::Mu => mu,
        Law::A => a,
    };
    payload.iter().flat_map(|&byte| sample(byte).to_le_bytes()).collect()
}

fn mu(byte: u8) -> i16 {
    let byte = !byte;
    let magnitude = ((i16::from(byte & 0x0f) << 3) + 0x84) << (byte >> 4 & 0x07);
    if byte & 0x80 == 0 { magnitude - 0x84 } else { 0x84 - magnitude }
}

fn a(byte: u8) -> i16 {
    let byte = byte ^ 0x55;
    let mantissa = (i16::from(byte & 0x0f) << 4) + 8;
    let magnitude = match byte >> 4 & 0x07 {
        0 => mantissa,
        segment => (mantissa + 0x100) << (segment - 1),
    };
    if byte & 0x80 == 0 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_laws_have_their_ends_and_their_zeros() {
        assert_eq!([mu(0x80), mu(0x00), mu(0xff), mu(0x7f)], [32_124, -32_124, 0, 0]);
        assert_eq!([a(0xaa), a(0x2a), a(0xd5), a(0x55)], [32_256, -32_256, 8, -8]);
    }

    #[test]
    fn each_law_rises_with_its_magnitude() {
        let rises = |values: Vec<i16>| values.windows(2).all(|pair| pair[0] < pair[1]);
        assert!(rises((0x80..=0xff).rev().map(mu).collect()));
        assert!(rises((0x80..=0xff).map(|byte| a(byte ^ 0x55)).collect()));
    }

    #[test]
    fn samples_are_little_endian() {
        assert_eq!(expand(Law::Mu, &[0x80, 0xff]), [0x7c, 0x7d, 0, 0]);
        assert_eq!(expand(Law::A, &[]), [0; 0]);
    }
}
