//! Room for the bodies of calls. What a call holds is counted as it comes in, so that a few who announce much, or send slowly, neither fill the
//! memory nor keep the others out.

use axum::body::Body;
use futures::StreamExt as _;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Bytes of bodies held at once, over all calls.
pub(crate) struct Room {
    bytes: Semaphore,
}

/// A body, and the room it takes until it is dropped.
pub(crate) struct Held<'r> {
    pub bytes: Vec<u8>,
    _room: SemaphorePermit<'r>,
}

/// Why a body is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    /// There is no room for it now.
    Full,
    TooLarge,
    CutOff,
}

impl Room {
    pub fn new(bytes: usize) -> Self {
        Self { bytes: Semaphore::new(bytes.min(Semaphore::MAX_PERMITS)) }
    }

    /// Room for this many bytes; `None` where there is none now.
    pub fn take(&self, bytes: usize) -> Option<SemaphorePermit<'_>> {
        self.bytes.try_acquire_many(u32::try_from(bytes).ok()?).ok()
    }

    /// Reads a body. The limit is on what is read, so one that lies about its length is stopped as well.
    pub async fn read(&self, body: Body, limit: usize) -> Result<Held<'_>, Unread> {
        let mut room = self.take(0).ok_or(Unread::Full)?;
        let (mut bytes, mut chunks) = (Vec::new(), body.into_data_stream());
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| Unread::CutOff)?;
            if bytes.len() + chunk.len() > limit {
                return Err(Unread::TooLarge);
            }
            room.merge(self.take(chunk.len()).ok_or(Unread::Full)?);
            bytes.extend_from_slice(&chunk);
        }
        Ok(Held { bytes, _room: room })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(bytes: usize) -> Body {
        Body::from(vec![b' '; bytes])
    }

    #[tokio::test]
    async fn bodies_share_the_room_and_give_it_back() {
        let room = Room::new(100);
        let first = room.read(body(60), 80).await.expect("there is room");
        assert_eq!(first.bytes.len(), 60);
        assert_eq!(room.read(body(60), 80).await.err(), Some(Unread::Full));
        assert!(room.read(body(40), 80).await.is_ok());
        drop(first);
        assert!(room.read(body(60), 80).await.is_ok());
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_told_from_one_that_ends_early() {
        let room = Room::new(100);
        assert_eq!(room.read(body(81), 80).await.err(), Some(Unread::TooLarge));
        let broken = futures::stream::iter([Ok(vec![b' '; 10]), Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))]);
        assert_eq!(room.read(Body::from_stream(broken), 80).await.err(), Some(Unread::CutOff));
        assert!(room.take(100).is_some(), "what was refused holds nothing");
    }
}
