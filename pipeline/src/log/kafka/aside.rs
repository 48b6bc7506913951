//! What the poll thread has done beside the polling, one at a time, because it takes an answer of the broker.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use super::poller::Reader;

/// A thread that answers one question after the other.
pub(super) struct Aside<Q, A> {
    questions: Sender<(Arc<Reader>, Q)>,
    answers: Receiver<A>,
    free: bool,
}

impl<Q: Send + 'static, A: Send + 'static> Aside<Q, A> {
    pub fn start(name: String, mut answer: impl FnMut(&Reader, Q) -> A + Send + 'static) -> std::io::Result<Self> {
        let (questions, todo) = crossbeam_channel::bounded::<(Arc<Reader>, Q)>(1);
        let (tell, answers) = crossbeam_channel::bounded(1);
        std::thread::Builder::new().name(name).spawn(move || {
            for (consumer, question) in todo {
                let answered = answer(&consumer, question);
                // The poll thread closes the consumer by letting go of it: nobody else may be the last to hold it.
                drop(consumer);
                if tell.send(answered).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { questions, answers, free: true })
    }

    /// What has come of the last one since the last look.
    pub fn answered(&mut self) -> Option<A> {
        let answer = self.answers.try_recv().ok();
        self.free |= answer.is_some();
        answer
    }

    /// Whether the last one has ended.
    pub fn is_free(&self) -> bool {
        self.free
    }

    /// Only where it is free.
    pub fn ask(&mut self, consumer: &Arc<Reader>, question: Q) {
        self.free = self.questions.try_send((consumer.clone(), question)).is_err();
    }

    /// Waits for what is on its way, for so long at most: the broker may be away.
    pub fn settle(&mut self, most: Duration) {
        if !self.free {
            let _ = self.answers.recv_timeout(most);
        }
    }
}
