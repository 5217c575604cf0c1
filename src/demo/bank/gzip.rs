//! A gzip file (RFC 1952) whose content is stored, not compressed: enough to hide a marker from who does not unpack.

const HEADER: [u8; 10] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF];
/// The most that a stored block of RFC 1951 section 3.2.4 can hold.
const MAX_BLOCK: usize = 0xFFFF;

/// The file.
pub(super) fn stored(content: &[u8]) -> Vec<u8> {
    let mut file = HEADER.to_vec();
    let blocks = content.len().div_ceil(MAX_BLOCK).max(1);
    for (index, start) in (0..blocks).map(|index| (index, index * MAX_BLOCK)) {
        let block = &content[start..content.len().min(start + MAX_BLOCK)];
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        file.push(u8::from(index + 1 == blocks));
        file.extend(length.to_le_bytes());
        file.extend((!length).to_le_bytes());
        file.extend(block);
    }
    file.extend(crc32(content).to_le_bytes());
    // Modulo 2³², as the format has it; no page is that long.
    file.extend(u32::try_from(content.len() & 0xFFFF_FFFF).unwrap_or_default().to_le_bytes());
    file
}

/// Bit by bit: pages are small, and a table would be longer than this.
fn crc32(content: &[u8]) -> u32 {
    !content.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & 0_u32.wrapping_sub(crc & 1)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_format() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926, "the check value of CRC-32/ISO-HDLC");
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn a_file_names_its_lengths() {
        let file = stored(b"123456789");
        assert_eq!(&file[10..15], [1, 9, 0, 0xF6, 0xFF], "one last block of nine bytes");
        assert_eq!(&file[15..24], b"123456789");
        assert_eq!(&file[24..], [0x26, 0x39, 0xF4, 0xCB, 9, 0, 0, 0]);
        let long = stored(&[7; MAX_BLOCK + 1]);
        assert_eq!((long[10], long[10 + 5 + MAX_BLOCK]), (0, 1), "two blocks, the second is the last");
        assert_eq!(stored(b"").len(), 10 + 5 + 8);
    }
}
