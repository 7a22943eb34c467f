//! Decoding alone, without a server: what the benchmark `watch_decode` measures.

use super::feed::Line;
use super::objects::Pod;
use super::page::Reader;
use super::pods::{Shared, instance};
use crate::domain::{Instance, Track};
use serde_json::Error;

/// The instances of one page of a pod list, as bytes of JSON.
pub fn pods_of_list(page: &[u8]) -> Result<Vec<Instance>, Error> {
    let mut reader = Reader::<Pod>::new();
    // As a decompressor hands them over.
    for piece in page.chunks(16 << 10) {
        reader.feed(piece)?;
    }
    let mut shared = Shared::default();
    Ok(reader.finish()?.items.unwrap_or_default().iter().map(|pod| instance(pod, Track::Canary, &mut shared)).collect())
}

/// The instances in the lines of a watch that are no deletions, bookmarks or errors.
pub fn pods_of_watch(lines: &[u8]) -> Result<Vec<Instance>, Error> {
    let mut shared = Shared::default();
    let mut all = Vec::new();
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        if let Line::Added(pod) | Line::Modified(pod) = serde_json::from_slice::<Line<Pod>>(line)? {
            all.push(instance(&pod, Track::Canary, &mut shared));
        }
    }
    Ok(all)
}
