//! A member of the group in which Confluent's schema registry and Karapace elect their writer. Their
//! protocol type is `sr`, which librdkafka can't join, so that the few requests are written by hand.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a broker that answers otherwise fails the test"
)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

const GROUP: &str = "schema-registry";
const JOIN_GROUP: i16 = 11;
const HEARTBEAT: i16 = 12;
const LEAVE_GROUP: i16 = 13;
const SYNC_GROUP: i16 = 14;
const FIND_COORDINATOR: i16 = 10;
const MEMBER_ID_REQUIRED: i16 = 79;
/// The group's coordinator is loading, is not there yet, or is another.
const COORDINATOR: std::ops::RangeInclusive<i16> = 14..=16;

/// Another registry, as far as the group sees it; leaves when dropped.
#[derive(Debug)]
pub struct OtherRegistry {
    stop: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl OtherRegistry {
    /// Joins on the one node at `bootstrap`, as an instance at `http://<host>:8081`.
    ///
    /// # Panics
    /// Where the broker can't be spoken to: a test ends there.
    #[must_use]
    pub fn join(bootstrap: &str, host: &str) -> Self {
        let mut member = Member {
            stream: TcpStream::connect(bootstrap).expect("a broker to connect to"),
            correlation: 0,
            generation: 0,
            id: String::new(),
        };
        member.join(host);
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
                member.heartbeat();
            }
            member.leave();
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for OtherRegistry {
    fn drop(&mut self) {
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Member {
    stream: TcpStream,
    correlation: i32,
    generation: i32,
    id: String,
}

impl Member {
    fn join(&mut self, host: &str) {
        let metadata = format!(
            r#"{{"host":"{host}","port":8081,"master_eligibility":true,"scheme":"http","version":1,"leader":false}}"#
        );
        loop {
            // v4: group, session and rebalance time-outs, member, protocol type, protocols.
            let mut body = string(GROUP);
            body.extend(10_000_i32.to_be_bytes());
            body.extend(10_000_i32.to_be_bytes());
            body.extend(string(&self.id));
            body.extend(string("sr"));
            body.extend(1_i32.to_be_bytes());
            body.extend(string("v0"));
            body.extend(bytes(metadata.as_bytes()));
            let answer = self.call(JOIN_GROUP, 4, &body);
            // Throttle time, error, generation, protocol, leader, own id.
            let mut answer = Answer(&answer[4..]);
            let error = answer.i16();
            self.generation = answer.i32();
            let _protocol = answer.string();
            let _leader = answer.string();
            self.id = answer.string();
            match error {
                0 => break,
                MEMBER_ID_REQUIRED => {}
                error if COORDINATOR.contains(&error) => {
                    self.id.clear();
                    // The first question makes the topic that groups are kept in.
                    self.call(FIND_COORDINATOR, 0, &string(GROUP));
                    std::thread::sleep(Duration::from_millis(200));
                }
                error => panic!("JoinGroup: {error}"),
            }
        }
        let mut body = self.membership();
        body.extend(1_i32.to_be_bytes());
        body.extend(string(&self.id));
        body.extend(bytes(
            format!(r#"{{"version":1,"error":0,"master":"{}"}}"#, self.id).as_bytes(),
        ));
        let answer = self.call(SYNC_GROUP, 1, &body);
        assert_eq!(Answer(&answer[4..]).i16(), 0, "SyncGroup");
    }

    fn heartbeat(&mut self) {
        let body = self.membership();
        self.call(HEARTBEAT, 1, &body);
    }

    fn leave(&mut self) {
        let mut body = string(GROUP);
        body.extend(string(&self.id));
        self.call(LEAVE_GROUP, 1, &body);
    }

    fn membership(&self) -> Vec<u8> {
        let mut body = string(GROUP);
        body.extend(self.generation.to_be_bytes());
        body.extend(string(&self.id));
        body
    }

    fn call(&mut self, key: i16, version: i16, body: &[u8]) -> Vec<u8> {
        self.correlation += 1;
        let mut request = Vec::new();
        request.extend(key.to_be_bytes());
        request.extend(version.to_be_bytes());
        request.extend(self.correlation.to_be_bytes());
        request.extend(string("sr-1"));
        request.extend(body);
        let stream = &mut self.stream;
        stream
            .write_all(&bytes(&request))
            .expect("a broker that reads");
        let mut length = [0; 4];
        stream
            .read_exact(&mut length)
            .expect("a broker that answers");
        let length = usize::try_from(i32::from_be_bytes(length)).expect("a length");
        let mut answer = vec![0; length];
        stream.read_exact(&mut answer).expect("a whole answer");
        answer.split_off(4)
    }
}

fn string(text: &str) -> Vec<u8> {
    let length = i16::try_from(text.len()).expect("a short text");
    [&length.to_be_bytes(), text.as_bytes()].concat()
}

fn bytes(data: &[u8]) -> Vec<u8> {
    let length = i32::try_from(data.len()).expect("few bytes");
    [&length.to_be_bytes(), data].concat()
}

struct Answer<'a>(&'a [u8]);

impl Answer<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (taken, rest) = self.0.split_first_chunk().expect("a whole answer");
        self.0 = rest;
        *taken
    }

    fn i16(&mut self) -> i16 {
        i16::from_be_bytes(self.take())
    }

    fn i32(&mut self) -> i32 {
        i32::from_be_bytes(self.take())
    }

    fn string(&mut self) -> String {
        let length = usize::try_from(self.i16()).unwrap_or(0);
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        String::from_utf8_lossy(text).into_owned()
    }
}
