//! The one place that knows bincode: capped encoding and decoding.
//!
//! bincode 2 is no longer maintained (RUSTSEC-2025-0141). Everything that is written in it passes
//! through these two functions, so that it can be replaced by changing this file.

use serde::{Serialize, de::DeserializeOwned};

/// Largest value that is encoded or decoded, in bytes; checked before anything of a claimed length is allocated.
pub const VALUE_MAX: usize = 1 << 20;
/// Largest state value (a cache's index), in bytes.
pub const STATE_MAX: usize = 1 << 30;

/// Why bytes are no value.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The bytes break the format, a cap, or a rule of the type.
    #[error("cannot decode: {0}")]
    Decode(String),
    /// The value is larger than the cap.
    #[error("cannot encode: {0}")]
    Encode(String),
    /// Something follows the value.
    #[error("{0} bytes follow the value")]
    Trailing(usize),
}

fn config<const CAP: usize>()
-> bincode::config::Configuration<bincode::config::LittleEndian, bincode::config::Varint, bincode::config::Limit<CAP>> {
    bincode::config::standard().with_limit::<CAP>()
}

/// Encodes a wire value of at most [`VALUE_MAX`] bytes.
///
/// # Errors
/// When it would be larger.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    let bytes =
        bincode::serde::encode_to_vec(value, config::<VALUE_MAX>()).map_err(|e| CodecError::Encode(e.to_string()))?;
    if bytes.len() > VALUE_MAX {
        Err(CodecError::Encode(format!("{} bytes are too many", bytes.len())))
    } else {
        Ok(bytes)
    }
}

/// Decodes a wire value; all bytes must belong to it.
///
/// # Errors
/// When they do not, or break the format, the cap or a rule of the type.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    decode_capped::<T, VALUE_MAX>(bytes)
}

/// Encodes a state value of at most [`STATE_MAX`] bytes.
///
/// # Errors
/// When it would be larger.
pub fn encode_state<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    bincode::serde::encode_to_vec(value, config::<STATE_MAX>()).map_err(|e| CodecError::Encode(e.to_string()))
}

/// Decodes a state value; all bytes must belong to it.
///
/// # Errors
/// As [`decode`].
pub fn decode_state<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    decode_capped::<T, STATE_MAX>(bytes)
}

fn decode_capped<T: DeserializeOwned, const CAP: usize>(bytes: &[u8]) -> Result<T, CodecError> {
    let (value, used) =
        bincode::serde::decode_from_slice(bytes, config::<CAP>()).map_err(|e| CodecError::Decode(e.to_string()))?;
    if used == bytes.len() { Ok(value) } else { Err(CodecError::Trailing(bytes.len() - used)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claimed_length_beyond_the_cap_is_refused_before_allocating() {
        // A varint that claims 2^60 elements, with nothing behind it.
        let mut bytes = vec![253];
        bytes.extend_from_slice(&(1u64 << 60).to_le_bytes());
        assert!(decode::<Vec<u8>>(&bytes).is_err());
        assert!(decode::<Vec<u64>>(&bytes).is_err());
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let mut bytes = encode(&7u32).expect("small");
        bytes.push(0);
        assert!(matches!(decode::<u32>(&bytes), Err(CodecError::Trailing(1))));
    }

    #[test]
    fn values_over_the_cap_are_not_sent() {
        assert!(encode(&vec![0u8; VALUE_MAX]).is_err());
    }
}
