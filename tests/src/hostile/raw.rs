//! Messages that the types of `smd-protocol` cannot hold: names that are none, counts with nothing behind them.
//!
//! Of a message only the numbers of its variants are said here; everything else is coded as it always is.

use serde::Serialize;
use smd_protocol::codec;
use smd_protocol::wire;

/// A frame with this for a message.
pub fn frame(message: &impl Serialize) -> Vec<u8> {
    framed(&codec::encode(message).expect("it fits"))
}

/// A frame of a message with these bytes, whatever they are.
pub fn framed(bytes: &[u8]) -> Vec<u8> {
    let size = u32::try_from(bytes.len()).expect("small").to_le_bytes();
    [&[1][..], &size, bytes].concat()
}

/// The steps of a batch of the first root: the number of a step's kind, and a folder or a name.
fn batch(steps: &impl Serialize) -> Vec<u8> {
    frame(&(2u32, 0u16, steps, Vec::<u8>::new()))
}

/// `Batch`: makes folders of these names.
pub fn make_folders(paths: &[&[u8]]) -> Vec<u8> {
    batch(&paths.iter().map(|path| (0u32, path.to_vec())).collect::<Vec<_>>())
}

/// `Batch`: deletes this message.
pub fn delete(folder: &[u8], uniq: &[u8]) -> Vec<u8> {
    batch(&vec![(5u32, folder.to_vec(), uniq.to_vec())])
}

/// `Batch`: wants the bytes of this message.
pub fn fetch(folder: &[u8], uniq: &[u8]) -> Vec<u8> {
    let fetch = vec![(0u32, folder.to_vec(), uniq.to_vec(), false, [0u8; 24], [0u8; 24])];
    frame(&(2u32, 0u16, Vec::<u8>::new(), fetch))
}

/// `Delta` of a server: a folder that was added, with a message that vanished in it.
pub fn delta(folder: &[u8], gone: &[u8]) -> Vec<u8> {
    frame(&(1u32, 0u16, vec![(0u32, folder.to_vec(), 1u32, None::<bool>, vec![gone.to_vec()])]))
}

/// `Batch`: a frame of a MiB with half a million steps that say next to nothing.
pub fn half_a_million_steps() -> Vec<u8> {
    let steps: Vec<(u8, u8)> = vec![(0, 0); wire::FRAME_MAX / 2 - 8];
    batch(&steps)
}
