//! Finding the open incident of a service, wherever it was declared: in the run under way, in one that has ended, or in a record of its own.

use crate::domain::record::Entry;
use crate::domain::{RunId, ServiceKey};
use crate::port::journal::RunHead;
use crate::port::{Journal, JournalError};
use crate::runbook::incident::is_open;
use std::collections::BTreeMap;

/// So many of the newest runs are looked through.
const NEWEST: usize = 50;

/// What was looked through so far: runs that did not move are not read again.
#[derive(Debug, Clone, Default)]
pub struct Search {
    seen: BTreeMap<RunId, (u64, bool)>,
}

impl Search {
    /// The run with the open incident of a service, with all of its entries. Of several the one that was started last.
    pub async fn open(&mut self, journal: &dyn Journal, service: &ServiceKey) -> Result<Option<Vec<Entry>>, JournalError> {
        let heads = journal.runs(Some(service.clone())).await?;
        self.among(journal, &heads).await
    }

    /// [`Search::open`] where the runs of the service are known.
    pub async fn among(&mut self, journal: &dyn Journal, heads: &[RunHead]) -> Result<Option<Vec<Entry>>, JournalError> {
        let newest = &heads[..heads.len().min(NEWEST)];
        self.seen.retain(|run, _| newest.iter().any(|head| head.run == *run));
        for head in newest {
            let known = self.seen.get(&head.run).filter(|(seq, _)| *seq == head.head).map(|(_, open)| *open);
            if known == Some(false) {
                continue;
            }
            let entries = journal.read(head.run.clone(), 0).await?;
            let open = is_open(&entries);
            self.seen.insert(head.run.clone(), (entries.last().map_or(0, |e| e.seq), open));
            if open {
                return Ok(Some(entries));
            }
        }
        Ok(None)
    }
}
