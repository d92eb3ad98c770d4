//! RC4 and HMAC-MD5 over the same bytes, in one pass.
//!
//! Each of the two is a chain in which every step waits for the one before, so a processor that runs one after the
//! other is idle most of the time. MD5 has 64 steps for 64 bytes, and RC4 one for each byte: taken in turns, MD5 costs
//! almost nothing beside RC4. This is why RC4 and MD5's compression stand here in full; everything that isn't a whole
//! block of a message goes through the crate `md-5`.

use md5::block_api::compress;
use zeroize::Zeroize;

const BLOCK: usize = 64;
/// The first block begins with the four bytes of the sequence number.
const FIRST: usize = BLOCK - 4;
const MD5_START: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// The RC4 stream cipher.
#[derive(Clone)]
pub(super) struct Rc4 {
    // Words of 32 bits, because their loads and stores are faster than those of bytes.
    state: [u32; 256],
    i: u8,
    j: u8,
}

impl Rc4 {
    pub(super) fn new(key: &[u8; 16]) -> Self {
        let mut state = std::array::from_fn(|index| index as u32);
        let mut j = 0_u8;
        for i in 0..256 {
            j = j.wrapping_add(state[i] as u8).wrapping_add(key[i % key.len()]);
            state.swap(i, usize::from(j));
        }
        Self { state, i: 0, j: 0 }
    }

    pub(super) fn apply(&mut self, data: &mut [u8]) {
        for byte in data {
            self.i = self.i.wrapping_add(1);
            *byte ^= next_key_byte(&mut self.state, self.i, &mut self.j);
        }
    }
}

impl Drop for Rc4 {
    fn drop(&mut self) {
        self.state.zeroize();
        self.j.zeroize();
    }
}

#[inline(always)]
fn next_key_byte(state: &mut [u32; 256], i: u8, j: &mut u8) -> u8 {
    let x = state[usize::from(i)];
    *j = j.wrapping_add(x as u8);
    let y = state[usize::from(*j)];
    state[usize::from(i)] = y;
    state[usize::from(*j)] = x;
    state[usize::from((x as u8).wrapping_add(y as u8))] as u8
}

/// A key of HMAC-MD5 (RFC 2104), kept as the two states of MD5 after their first block.
#[derive(Clone)]
pub(super) struct MacKey {
    inner: [u32; 4],
    outer: [u32; 4],
}

impl Drop for MacKey {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
    }
}

impl MacKey {
    pub(super) fn new(key: &[u8; 16]) -> Self {
        let state = |pad: u8| {
            let mut block = [pad; BLOCK];
            for (byte, key) in block.iter_mut().zip(key) {
                *byte ^= key;
            }
            let mut state = MD5_START;
            compress(&mut state, &[block]);
            block.zeroize();
            state
        };
        Self {
            inner: state(0x36),
            outer: state(0x5c),
        }
    }

    /// The code over sequence number and message.
    pub(super) fn code(&self, sequence: u32, message: &[u8]) -> [u8; 16] {
        let mut state = self.inner;
        let Some((first, rest)) = message.split_first_chunk::<FIRST>() else {
            return self.finish(state, Some(sequence), message, message.len());
        };
        compress(&mut state, &[first_block(sequence, first)]);
        let (blocks, tail) = rest.as_chunks::<BLOCK>();
        compress(&mut state, blocks);
        self.finish(state, None, tail, message.len())
    }

    /// Encrypts the message where it stands and gives the code over sequence number and plain text.
    pub(super) fn seal(&self, cipher: &mut Rc4, sequence: u32, message: &mut [u8]) -> [u8; 16] {
        let length = message.len();
        let mut state = self.inner;
        let Some((first, rest)) = message.split_first_chunk_mut::<FIRST>() else {
            let code = self.finish(state, Some(sequence), message, length);
            cipher.apply(message);
            return code;
        };
        compress(&mut state, &[first_block(sequence, first)]);
        cipher.apply(first);
        let (blocks, tail) = rest.as_chunks_mut::<BLOCK>();
        for block in blocks {
            let plain = words(block);
            compress_and_apply(&mut state, &plain, cipher, block);
        }
        let code = self.finish(state, None, tail, length);
        cipher.apply(tail);
        code
    }

    /// Decrypts the message where it stands and gives the code over sequence number and plain text.
    pub(super) fn open(&self, cipher: &mut Rc4, sequence: u32, message: &mut [u8]) -> [u8; 16] {
        let length = message.len();
        let mut state = self.inner;
        let Some((first, rest)) = message.split_first_chunk_mut::<FIRST>() else {
            cipher.apply(message);
            return self.finish(state, Some(sequence), message, length);
        };
        cipher.apply(first);
        // A block can only be hashed when it is decrypted, so that the hash is one block behind.
        let mut plain = words(&first_block(sequence, first));
        let (blocks, tail) = rest.as_chunks_mut::<BLOCK>();
        for block in blocks {
            compress_and_apply(&mut state, &plain, cipher, block);
            plain = words(block);
        }
        let mut last = [0; BLOCK];
        for (bytes, word) in last.as_chunks_mut::<4>().0.iter_mut().zip(plain) {
            *bytes = word.to_le_bytes();
        }
        compress(&mut state, &[last]);
        cipher.apply(tail);
        self.finish(state, None, tail, length)
    }

    /// Hashes what is left of the message, the padding, and the outer hash. `length` is that of the whole message;
    /// `sequence` is given if no block was hashed yet.
    fn finish(&self, inner: [u32; 4], sequence: Option<u32>, tail: &[u8], length: usize) -> [u8; 16] {
        let mut buffer = [0; 2 * BLOCK];
        let mut at = 0;
        if let Some(sequence) = sequence {
            buffer[..4].copy_from_slice(&sequence.to_le_bytes());
            at = 4;
        }
        buffer[at..at + tail.len()].copy_from_slice(tail);
        let inner = pad(inner, buffer, at + tail.len(), BLOCK + 4 + length);
        let mut buffer = [0; 2 * BLOCK];
        buffer[..16].copy_from_slice(&inner);
        pad(self.outer, buffer, inner.len(), BLOCK + inner.len())
    }
}

/// MD5's padding (RFC 1321 section 3.1) behind the first `used` bytes of `buffer`, of a text of `total` bytes.
fn pad(mut state: [u32; 4], mut buffer: [u8; 2 * BLOCK], used: usize, total: usize) -> [u8; 16] {
    buffer[used] = 0x80;
    let end = if used < BLOCK - 8 { BLOCK } else { 2 * BLOCK };
    buffer[end - 8..end].copy_from_slice(&(total as u64).wrapping_mul(8).to_le_bytes());
    compress(&mut state, buffer[..end].as_chunks::<BLOCK>().0);
    let mut out = [0; 16];
    for (bytes, word) in out.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_le_bytes();
    }
    out
}

fn first_block(sequence: u32, start: &[u8; FIRST]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block[..4].copy_from_slice(&sequence.to_le_bytes());
    block[4..].copy_from_slice(start);
    block
}

fn words(block: &[u8; BLOCK]) -> [u32; 16] {
    let chunks = block.as_chunks::<4>().0;
    std::array::from_fn(|index| u32::from_le_bytes(chunks[index]))
}

/// Hashes `plain` and applies the cipher to `block`, a step of each in turn. MD5's steps are those of RFC 1321
/// section 3.4.
#[inline(never)]
fn compress_and_apply(hash: &mut [u32; 4], plain: &[u32; 16], cipher: &mut Rc4, block: &mut [u8; BLOCK]) {
    let [mut a, mut b, mut c, mut d] = *hash;
    let Rc4 { state, i, j: saved_j } = cipher;
    let start = *i;
    let mut j = *saved_j;
    macro_rules! steps {
        ($($n:literal)*) => { $({
            let (mix, word) = match $n / 16 {
                0 => (d ^ (b & (c ^ d)), $n),
                1 => ((b & d).wrapping_add(c & !d), (5 * $n + 1) % 16),
                2 => (b ^ c ^ d, (3 * $n + 5) % 16),
                _ => (c ^ (b | !d), 7 * $n % 16),
            };
            let sum = a.wrapping_add(SINES[$n]).wrapping_add(plain[word]).wrapping_add(mix);
            (a, d, c) = (d, c, b);
            b = b.wrapping_add(sum.rotate_left(SHIFTS[$n / 16][$n % 4]));
            block[$n] ^= next_key_byte(state, start.wrapping_add($n + 1), &mut j);
        })* };
    }
    steps! {
        0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
        32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63
    }
    *i = start.wrapping_add(BLOCK as u8);
    *saved_j = j;
    for (old, new) in hash.iter_mut().zip([a, b, c, d]) {
        *old = old.wrapping_add(new);
    }
}

const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

/// The integer part of 2^32 times |sin(n + 1)|.
const SINES: [u32; 64] = [
    0xd76a_a478,
    0xe8c7_b756,
    0x2420_70db,
    0xc1bd_ceee,
    0xf57c_0faf,
    0x4787_c62a,
    0xa830_4613,
    0xfd46_9501,
    0x6980_98d8,
    0x8b44_f7af,
    0xffff_5bb1,
    0x895c_d7be,
    0x6b90_1122,
    0xfd98_7193,
    0xa679_438e,
    0x49b4_0821,
    0xf61e_2562,
    0xc040_b340,
    0x265e_5a51,
    0xe9b6_c7aa,
    0xd62f_105d,
    0x0244_1453,
    0xd8a1_e681,
    0xe7d3_fbc8,
    0x21e1_cde6,
    0xc337_07d6,
    0xf4d5_0d87,
    0x455a_14ed,
    0xa9e3_e905,
    0xfcef_a3f8,
    0x676f_02d9,
    0x8d2a_4c8a,
    0xfffa_3942,
    0x8771_f681,
    0x6d9d_6122,
    0xfde5_380c,
    0xa4be_ea44,
    0x4bde_cfa9,
    0xf6bb_4b60,
    0xbebf_bc70,
    0x289b_7ec6,
    0xeaa1_27fa,
    0xd4ef_3085,
    0x0488_1d05,
    0xd9d4_d039,
    0xe6db_99e5,
    0x1fa2_7cf8,
    0xc4ac_5665,
    0xf429_2244,
    0x432a_ff97,
    0xab94_23a7,
    0xfc93_a039,
    0x655b_59c3,
    0x8f0c_cc92,
    0xffef_f47d,
    0x8584_5dd1,
    0x6fa8_7e4f,
    0xfe2c_e6e0,
    0xa301_4314,
    0x4e08_11a1,
    0xf753_7e82,
    0xbd3a_f235,
    0x2ad7_d2bb,
    0xeb86_d391,
];

#[cfg(test)]
mod tests {
    use super::super::crypto::hmac_md5;
    use super::*;
    use proptest::prelude::*;
    use rc4::{KeyInit as _, StreamCipher as _};

    fn reference(key: &[u8; 16], data: &[u8]) -> Vec<u8> {
        let mut out = data.to_vec();
        rc4::Rc4::new_from_slice(key).unwrap().apply_keystream(&mut out);
        out
    }

    #[track_caller]
    fn assert_same_as_one_after_the_other(key: [u8; 16], sequence: u32, plain: &[u8]) {
        let mac = MacKey::new(&key);
        let code = *hmac_md5(&key, &[&sequence.to_le_bytes(), plain]);
        assert_eq!(mac.code(sequence, plain), code);

        let mut message = plain.to_vec();
        let mut cipher = Rc4::new(&key);
        assert_eq!(mac.seal(&mut cipher, sequence, &mut message), code);
        let mut key_stream = vec![0; 8];
        cipher.apply(&mut key_stream);
        assert_eq!([&message[..], &key_stream].concat(), reference(&key, &[plain, &[0; 8]].concat()));

        let mut cipher = Rc4::new(&key);
        assert_eq!(mac.open(&mut cipher, sequence, &mut message), code);
        assert_eq!(message, plain);
        let mut again = vec![0; 8];
        cipher.apply(&mut again);
        assert_eq!(again, key_stream);
    }

    #[test]
    fn every_length_around_the_blocks() {
        for length in 0..300 {
            let plain: Vec<u8> = (0..length).map(|n| (n * 7) as u8).collect();
            assert_same_as_one_after_the_other(*b"0123456789abcdef", 3, &plain);
        }
    }

    proptest! {
        #[test]
        fn same_as_the_crates(key: [u8; 16], sequence: u32, plain in proptest::collection::vec(any::<u8>(), 0..3000)) {
            assert_same_as_one_after_the_other(key, sequence, &plain);
        }
    }
}
