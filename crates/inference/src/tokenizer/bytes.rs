//! The bytes behind the text of a token, in the two spellings that GGUF files use.

/// Bytes of a byte-level token: each character stands for one byte (GPT-2's table). A character
/// outside the table stands for itself.
pub(super) fn of_byte_level_token(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        match byte_of(character) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

/// GPT-2's table gives printable Latin-1 bytes their own character and numbers the other 68 bytes
/// from U+0100 on, in order.
fn byte_of(character: char) -> Option<u8> {
    let code = u32::from(character);
    match code {
        0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF => Some(code as u8),
        0x100..=0x120 => Some((code - 0x100) as u8),
        0x121..=0x142 => Some((code - 0x121 + 0x7F) as u8),
        0x143 => Some(0xAD),
        _ => None,
    }
}

/// Bytes of a SentencePiece token: `▁` is a space, `<0x0A>` a byte.
pub(super) fn of_sentencepiece_token(text: &str) -> Vec<u8> {
    match named_byte(text) {
        Some(byte) => vec![byte],
        None => text.replace('\u{2581}', " ").into_bytes(),
    }
}

/// The byte that a token such as `<0x0A>` names.
pub(super) fn named_byte(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    let is_hex = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_hex
        .then(|| u8::from_str_radix(digits, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_table_reaches_every_byte_once() {
        let characters = (0u32..0x200).filter_map(char::from_u32);
        let bytes: Vec<u8> = characters.filter_map(byte_of).collect();
        assert_eq!(bytes.len(), 256);
        assert_eq!(bytes.into_iter().collect::<HashSet<u8>>().len(), 256);
    }

    #[test]
    fn the_table_is_that_of_the_tokenizers_crate() {
        for character in tokenizers::pre_tokenizers::byte_level::ByteLevel::alphabet() {
            assert!(byte_of(character).is_some(), "{character:?}");
        }
        assert_eq!(
            of_byte_level_token("\u{120}caf\u{c3}\u{a9}\u{10a}"),
            " café\n".as_bytes()
        );
    }

    #[test]
    fn sentencepiece_tokens_name_spaces_and_bytes() {
        assert_eq!(of_sentencepiece_token("\u{2581}hi"), b" hi");
        assert_eq!(of_sentencepiece_token("<0x0A>"), b"\n");
        assert_eq!(of_sentencepiece_token("<0x+A>"), b"<0x+A>");
    }
}
