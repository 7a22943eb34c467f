//! A page of a list, decoded while it arrives: what is held at any time is the objects as far as they are read, and not five
//! megabytes of JSON.

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;
use serde_json::{Deserializer, Error};

/// Decoding begins anew with every batch of bytes at the first object that is not complete yet, so batches are not small.
const BATCH: usize = 128 << 10;

/// `ListMeta`, as far as it is read.
#[derive(Debug, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PageMeta {
    /// The version of the list.
    pub(super) resource_version: String,
    /// Asks for the next page.
    #[serde(rename = "continue")]
    pub(super) next: Option<String>,
}

/// What a page says, all of it.
#[derive(Debug)]
pub(super) struct Page<T> {
    /// About the list.
    pub(super) metadata: PageMeta,
    /// The objects; `None` if the answer has no such field.
    pub(super) items: Option<Vec<T>>,
}

/// Where the reader stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the brace that opens everything.
    Start,
    /// Before a key, or the brace that closes everything.
    Key,
    /// Inside the list of objects.
    Items,
    /// After the last brace.
    End,
}

/// Reads one page, in pieces of any size.
pub(super) struct Reader<T> {
    place: Place,
    held: Vec<u8>,
    /// Bytes of `held` that are read.
    done: usize,
    /// The beginning of the answer, to tell what came instead of a list.
    start: Vec<u8>,
    total: usize,
    page: Page<T>,
}

/// How much of what was tried could be read.
enum Step<V> {
    Whole(V),
    /// The rest has not arrived.
    Later,
}

impl<T: DeserializeOwned> Reader<T> {
    /// Nothing read yet.
    pub(super) fn new() -> Self {
        let page = Page { metadata: PageMeta::default(), items: None };
        Self { place: Place::Start, held: Vec::new(), done: 0, start: Vec::new(), total: 0, page }
    }

    /// Bytes that came until now.
    pub(super) fn total(&self) -> usize {
        self.total
    }

    /// The answer's beginning.
    pub(super) fn start(&self) -> &[u8] {
        &self.start
    }

    /// Takes what came.
    pub(super) fn feed(&mut self, data: &[u8]) -> Result<(), Error> {
        self.total += data.len();
        self.start.extend_from_slice(&data[..data.len().min(200 - self.start.len())]);
        self.held.extend_from_slice(data);
        if self.held.len() - self.done < BATCH {
            return Ok(());
        }
        self.read()
    }

    /// The page, once everything came.
    pub(super) fn finish(mut self) -> Result<Page<T>, Error> {
        self.read()?;
        if self.place == Place::End {
            return Ok(self.page);
        }
        Err(early_end())
    }

    fn read(&mut self) -> Result<(), Error> {
        loop {
            let step = match self.place {
                Place::Start => self.open()?,
                Place::Key => self.field()?,
                Place::Items => self.item()?,
                Place::End => Step::Later,
            };
            if matches!(step, Step::Later) {
                break;
            }
        }
        self.held.drain(..self.done);
        self.done = 0;
        Ok(())
    }

    /// The next byte that is no space, left unread.
    fn peek(&mut self) -> Option<u8> {
        let space = self.held[self.done..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.done += space;
        self.held.get(self.done).copied()
    }

    /// One value. The byte after it has to be there, or a number could go on.
    fn value<V: DeserializeOwned>(&mut self) -> Result<Step<V>, Error> {
        let mut values = Deserializer::from_slice(&self.held[self.done..]).into_iter::<V>();
        let value = match values.next() {
            None => return Ok(Step::Later),
            Some(Err(error)) if error.classify() == Category::Eof => return Ok(Step::Later),
            Some(value) => value?,
        };
        let end = self.done + values.byte_offset();
        if end == self.held.len() {
            return Ok(Step::Later);
        }
        self.done = end;
        Ok(Step::Whole(value))
    }

    fn open(&mut self) -> Result<Step<()>, Error> {
        match self.peek() {
            None => Ok(Step::Later),
            Some(b'{') => {
                self.done += 1;
                self.place = Place::Key;
                Ok(Step::Whole(()))
            }
            Some(_) => Err(self.unexpected()),
        }
    }

    fn field(&mut self) -> Result<Step<()>, Error> {
        match self.peek() {
            None => return Ok(Step::Later),
            Some(b',') => {
                self.done += 1;
                return Ok(Step::Whole(()));
            }
            Some(b'}') => {
                self.done += 1;
                self.place = Place::End;
                return Ok(Step::Whole(()));
            }
            Some(_) => {}
        }
        // A field is read whole or, next time, from its key on.
        let begin = self.done;
        let step = self.named();
        if !matches!(step, Ok(Step::Whole(()))) {
            self.done = begin;
        }
        step
    }

    fn named(&mut self) -> Result<Step<()>, Error> {
        let Step::Whole(key) = self.value::<String>()? else { return Ok(Step::Later) };
        match self.peek() {
            None => return Ok(Step::Later),
            Some(b':') => self.done += 1,
            Some(_) => return Err(self.unexpected()),
        }
        match (key.as_str(), self.peek()) {
            (_, None) => return Ok(Step::Later),
            ("items", Some(b'[')) => {
                self.done += 1;
                self.place = Place::Items;
                self.page.items.get_or_insert_default();
            }
            ("metadata", _) => {
                let Step::Whole(metadata) = self.value()? else { return Ok(Step::Later) };
                self.page.metadata = metadata;
            }
            ("items", _) => {
                // Nothing, where Go has an empty list; anything else is no list.
                let Step::Whole(()) = self.value()? else { return Ok(Step::Later) };
            }
            _ => {
                let Step::Whole(IgnoredAny) = self.value()? else { return Ok(Step::Later) };
            }
        }
        Ok(Step::Whole(()))
    }

    fn item(&mut self) -> Result<Step<()>, Error> {
        match self.peek() {
            None => return Ok(Step::Later),
            Some(b',') => self.done += 1,
            Some(b']') => {
                self.done += 1;
                self.place = Place::Key;
            }
            Some(_) => {
                let Step::Whole(item) = self.value()? else { return Ok(Step::Later) };
                self.page.items.get_or_insert_default().push(item);
            }
        }
        Ok(Step::Whole(()))
    }

    /// The decoder's own words for a byte that cannot be here.
    fn unexpected(&self) -> Error {
        let byte = self.held.get(self.done).map_or(&b""[..], std::slice::from_ref);
        serde_json::from_slice::<()>(byte).err().unwrap_or_else(early_end)
    }
}

/// The decoder's own words for an end in the middle.
fn early_end() -> Error {
    let cut = serde_json::from_slice::<IgnoredAny>(b"{");
    cut.err().unwrap_or_else(|| serde::de::Error::custom("the list ends early"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(text: &str, piece: usize) -> Result<Page<Value>, Error> {
        let mut reader = Reader::new();
        for piece in text.as_bytes().chunks(piece) {
            reader.feed(piece)?;
            // Every cut is tried, not only those between batches.
            reader.read()?;
        }
        reader.finish()
    }

    #[test]
    fn a_page_reads_the_same_however_it_is_cut() {
        let text = r#"{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"9\"9","continue":"x}"},"n":17,
            "items":[{"a":"]}\\"},{"b":[1,{"c":"ü"}]} , {}],"last":[true,null]}
"#;
        for piece in 1..text.len() {
            let page = read(text, piece).unwrap();
            assert_eq!((page.metadata.resource_version.as_str(), page.metadata.next.as_deref()), ("9\"9", Some("x}")), "{piece}");
            assert_eq!(page.items.unwrap(), [json!({ "a": "]}\\" }), json!({ "b": [1, { "c": "ü" }] }), json!({})], "{piece}");
        }
    }

    #[test]
    fn nothing_is_an_empty_list_and_a_missing_one_is_told() {
        assert!(read(r#"{"items":null,"metadata":{"resourceVersion":"1"}}"#, 7).unwrap().items.is_none());
        assert_eq!(read(r#"{"items":[],"metadata":{}}"#, 7).unwrap().items.unwrap().len(), 0);
        assert!(read(r#"{"kind":"Status"}"#, 7).unwrap().items.is_none());
    }

    #[test]
    fn an_answer_that_ends_early_is_told_as_such_and_garbage_is_not() {
        for cut in [r#"{"items":[{"a":1},{"#, r#"{"items":[{"a":1}"#, r#"{"metadata""#, "{", ""] {
            assert_eq!(read(cut, 3).unwrap_err().classify(), Category::Eof, "{cut}");
        }
        for wrong in ["<html>", "[1]", r#"{"items":[}]}"#, r#"{"items":{"a":1}}"#, r#"{"items" 1}"#] {
            assert!(matches!(read(wrong, 3).unwrap_err().classify(), Category::Syntax | Category::Data), "{wrong}");
        }
    }

    #[test]
    fn what_is_read_is_not_held() {
        let mut reader = Reader::<IgnoredAny>::new();
        let item = format!(r#"{{"a":"{}"}},"#, "x".repeat(10_000));
        reader.feed(br#"{"items":["#).unwrap();
        for _ in 0..500 {
            reader.feed(item.as_bytes()).unwrap();
            assert!(reader.held.len() <= BATCH + item.len());
        }
        assert_eq!(reader.total(), 10 + 500 * item.len());
    }
}
