//! What was polled of a partition and not yet handed out, in batches.
//!
//! A partition is paused when this is full, and only then: librdkafka throws away what it has read ahead of a paused partition, and reads and unpacks it
//! again afterwards. Pausing at every batch costs half of the processor's time and most of its pace.

use std::collections::VecDeque;

use super::ConsumerSettings;
use super::lease::Place;
use crate::log::Batch;

/// Batches that may wait before the partition is paused. It goes on when one is left.
const ROOM: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Pending(VecDeque<Batch>);

impl Pending {
    pub fn push(&mut self, place: &Place, settings: &ConsumerSettings, offset: i64, key: &[u8], value: Option<&[u8]>) {
        let full = |batch: &Batch| batch.len() >= settings.batch_records || batch.size() >= settings.batch_bytes;
        if self.0.back().is_none_or(full) {
            self.0.push_back(Batch::new(place.0.clone(), place.1));
        }
        self.0.back_mut().expect("one was put there").push(offset, key, value);
    }

    /// The oldest batch, however small.
    pub fn pop(&mut self) -> Option<Batch> {
        self.0.pop_front()
    }

    /// The offset of the oldest record.
    pub fn first(&self) -> Option<i64> {
        self.0.front()?.records().next().map(|record| record.position.offset)
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn is_full(&self) -> bool {
        self.0.len() > ROOM
    }

    /// So little is left that more should be on its way.
    pub fn is_low(&self) -> bool {
        self.0.len() <= 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_handed_out_in_order_and_in_batches_and_is_full_before_it_is_much() {
        let settings = ConsumerSettings { batch_records: 2, ..ConsumerSettings::new("g", vec![], "c") };
        let (mut pending, place) = (Pending::default(), ("t".into(), 0));
        for offset in 0..8 {
            pending.push(&place, &settings, offset, b"", Some(b"v"));
            assert!(!pending.is_full(), "four batches have room");
        }
        pending.push(&place, &settings, 8, b"", None);
        assert!(pending.is_full());
        assert_eq!(pending.first(), Some(0));
        let mut next = Vec::new();
        while let Some(batch) = pending.pop() {
            next.push(batch.next_offset());
            assert!(!pending.is_full());
        }
        assert_eq!(next, [Some(2), Some(4), Some(6), Some(8), Some(9)]);
        assert!(pending.is_empty() && pending.is_low() && pending.first().is_none());
    }

    #[test]
    fn large_records_fill_a_batch_by_their_bytes() {
        let settings = ConsumerSettings { batch_bytes: 10, ..ConsumerSettings::new("g", vec![], "c") };
        let (mut pending, place) = (Pending::default(), ("t".into(), 0));
        for offset in 0..2 {
            pending.push(&place, &settings, offset, b"", Some(&[0; 100]));
        }
        assert_eq!(pending.pop().expect("one").len(), 1);
    }
}
