//! Bytes into lines, holding no more of a line than is ever shown.

/// Most bytes of a line that are held.
const HELD: usize = 16 << 10;

/// Cuts a stream into lines.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    held: Vec<u8>,
    /// Bytes of the line so far, held or not.
    length: usize,
    /// The line in `held` was handed out.
    done: bool,
}

impl Cutter {
    /// The next line that ends in `data`, and its real length; `data` is what follows it. What has no end yet is held.
    pub(super) fn next(&mut self, data: &mut &[u8]) -> Option<(&[u8], usize)> {
        if std::mem::take(&mut self.done) {
            self.held.clear();
            self.length = 0;
        }
        let end = data.iter().position(|byte| *byte == b'\n');
        let part = &data[..end.unwrap_or(data.len())];
        let room = HELD.saturating_sub(self.held.len());
        self.held.extend_from_slice(&part[..part.len().min(room)]);
        self.length += part.len();
        *data = &data[end.map_or(data.len(), |end| end + 1)..];
        end?;
        self.done = true;
        Some((&self.held, self.length))
    }

    /// A last line without an end.
    pub(super) fn rest(&mut self) -> Option<(Vec<u8>, usize)> {
        (!self.done && self.length > 0).then(|| (std::mem::take(&mut self.held), std::mem::take(&mut self.length)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(chunks: &[&[u8]]) -> Vec<(Vec<u8>, usize)> {
        let mut cutter = Cutter::default();
        let mut lines = Vec::new();
        for chunk in chunks {
            let mut rest = *chunk;
            while let Some((line, length)) = cutter.next(&mut rest) {
                lines.push((line.to_vec(), length));
            }
        }
        lines.extend(cutter.rest());
        lines
    }

    #[test]
    fn a_line_of_a_megabyte_is_measured_and_not_held() {
        let long = vec![b'x'; 1 << 20];
        let lines = cut(&[b"a\n", &long, &long, b"\nb"]);
        assert_eq!(lines.iter().map(|(line, length)| (line.len(), *length)).collect::<Vec<_>>(), [(1, 1), (HELD, 2 << 20), (1, 1)]);
    }

    proptest! {
        #[test]
        fn however_it_is_chopped_the_lines_are_the_same(text in "[a-c\n]{0,60}", at in prop::collection::vec(0usize..60, 0..6)) {
            let bytes = text.as_bytes();
            let mut borders: Vec<usize> = at.into_iter().map(|at| at.min(bytes.len())).chain([0, bytes.len()]).collect();
            borders.sort_unstable();
            let chunks: Vec<&[u8]> = borders.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            let expected: Vec<Vec<u8>> = text.lines().map(|line| line.as_bytes().to_vec()).collect();
            prop_assert_eq!(cut(&chunks).into_iter().map(|(line, _)| line).collect::<Vec<_>>(), expected);
        }
    }
}
