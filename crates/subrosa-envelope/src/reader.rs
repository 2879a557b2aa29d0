//! Reads TLS presentation language as MLS uses it. Borrows, never allocates.

use crate::HeaderError;

/// Bytes not read yet.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], HeaderError> {
        let (head, rest) = self.0.split_first_chunk().ok_or(HeaderError::Truncated)?;
        self.0 = rest;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, HeaderError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Result<u16, HeaderError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, HeaderError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, HeaderError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// A variable-length vector; its length must have the shortest form (envelopes §1).
    ///
    /// ```text
    /// top bits  prefix   lengths
    /// 00        1 byte   below 64
    /// 01        2 bytes  64 to 16383
    /// 10        4 bytes  16384 to 2³⁰−1
    /// 11        invalid
    /// ```
    pub(crate) fn vector(&mut self) -> Result<&'a [u8], HeaderError> {
        let first = *self.0.first().ok_or(HeaderError::Truncated)?;
        let (length, least) = match first >> 6 {
            0 => (u32::from(self.u8()?), 0),
            1 => (u32::from(self.u16()? & 0x3fff), 64),
            2 => (self.u32()? & 0x3fff_ffff, 16_384),
            _ => return Err(HeaderError::VectorLength),
        };
        if length < least {
            return Err(HeaderError::VectorLength);
        }
        let length = usize::try_from(length).map_err(|_| HeaderError::Truncated)?;
        let (head, rest) = self.0.split_at_checked(length).ok_or(HeaderError::Truncated)?;
        self.0 = rest;
        Ok(head)
    }

    /// A vector of structures: calls `one` until its bytes are used up.
    pub(crate) fn list(
        &mut self,
        mut one: impl FnMut(&mut Reader<'a>) -> Result<(), HeaderError>,
    ) -> Result<(), HeaderError> {
        let mut items = Reader(self.vector()?);
        while !items.is_empty() {
            one(&mut items)?;
        }
        Ok(())
    }

    /// Skips `count` vectors.
    pub(crate) fn skip_vectors(&mut self, count: usize) -> Result<(), HeaderError> {
        (0..count).try_for_each(|_| self.vector().map(drop))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn vector(bytes: &[u8], want: Result<usize, HeaderError>) {
        assert_eq!(Reader::new(bytes).vector().map(<[u8]>::len), want);
    }

    #[test]
    fn lengths_have_the_shortest_form() {
        vector(&[0], Ok(0));
        vector(&[2, 7, 7], Ok(2));
        vector(&[0x40, 63], Err(HeaderError::VectorLength));
        vector(&[&[0x40, 64][..], &[0; 64]].concat(), Ok(64));
        vector(&[0x80, 0, 0x3f, 0xff], Err(HeaderError::VectorLength));
        vector(&[&[0x80, 0, 0x40, 0][..], &[0; 16_384]].concat(), Ok(16_384));
        vector(&[0xc0; 9], Err(HeaderError::VectorLength));
    }

    #[test]
    fn a_length_beyond_the_end_is_truncation() {
        vector(&[], Err(HeaderError::Truncated));
        vector(&[1], Err(HeaderError::Truncated));
        vector(&[0x40], Err(HeaderError::Truncated));
        vector(&[0xbf, 0xff, 0xff, 0xff], Err(HeaderError::Truncated));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while reader.vector().is_ok() {}
        }
    }
}
