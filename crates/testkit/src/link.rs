//! A way to a broker that can be cut, held and slowed, and where what passes can be looked at. It
//! stands at the address that clients are told; Kafka's frames (a length of four bytes, and so many
//! bytes) pass whole.
//!
//! The nearest to a switch that an unprivileged test has: what a client sees of a lost packet is that
//! everything behind it comes late, and of a cut that nothing comes, not even an end.

use std::collections::VecDeque;
use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Largest frame; the greatest that a broker takes.
const FRAME_MAX: u32 = 100 << 20;
/// Frames of one direction of a connection that may be on their way.
const ON_THE_WAY_MAX: usize = 1_000;
/// One frame in so many meets a loss where the way is slow.
const LOSS_ONE_IN: u8 = 20;
/// What a loss costs: the least time after which TCP sends again (RFC 6298 as Linux has it).
const LOSS: Duration = Duration::from_millis(200);

/// Which way a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heading {
    /// A request.
    ToBroker,
    /// An answer.
    ToClient,
}

/// A frame on its way.
#[derive(Clone, Copy, Debug)]
pub struct Passing<'p> {
    /// Which of the link's connections, numbered as they came.
    pub connection: u64,
    /// Where to.
    pub heading: Heading,
    /// API key of the request, or of the one that is answered.
    pub api: i16,
    /// Its version.
    pub version: i16,
    /// The frame, its length included.
    pub frame: &'p [u8],
}

/// What becomes of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It passes.
    Pass,
    /// This passes in its place, its length included.
    Instead(Vec<u8>),
    /// It is lost, and its connection ends.
    Cut,
}

/// Who looks at what passes.
pub type Tap = Arc<dyn Fn(&Passing<'_>) -> Fate + Send + Sync>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Open,
    Slow(Duration),
    Held,
    Cut,
}

#[derive(Clone, Copy, Debug)]
struct Now {
    way: Way,
    /// Connections end when it grows.
    cuts: u64,
}

struct State {
    now: watch::Sender<Now>,
    tap: Mutex<Option<Tap>>,
    open: AtomicU64,
}

/// A way to one broker.
pub struct Link {
    port: u16,
    listener: Mutex<Option<std::net::TcpListener>>,
    state: Arc<State>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let now = *self.state.now.borrow();
        write!(f, "Link at {}, {:?}", self.port, now.way)
    }
}

impl Link {
    /// Takes a port; nothing passes until it [leads somewhere](Self::lead_to).
    ///
    /// # Errors
    /// There is no port.
    pub fn bind() -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let now = Now {
            way: Way::Open,
            cuts: 0,
        };
        Ok(Self {
            port: listener.local_addr()?.port(),
            listener: Mutex::new(Some(listener)),
            state: Arc::new(State {
                now: watch::Sender::new(now),
                tap: Mutex::new(None),
                open: AtomicU64::new(0),
            }),
        })
    }

    /// Leads to a port of 127.0.0.1, until the process ends.
    ///
    /// # Errors
    /// There is no runtime to be had.
    pub fn lead_to(&self, port: u16) -> io::Result<()> {
        let Some(listener) = lock(&self.listener).take() else {
            return Ok(());
        };
        let runtime = runtime()?;
        let _in_it = runtime.enter();
        let listener = TcpListener::from_std(listener)?;
        runtime.spawn(accept(Arc::clone(&self.state), listener, port));
        Ok(())
    }

    /// Its port of 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Connections that it has now.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.state.open.load(Ordering::SeqCst)
    }

    /// Ends all connections, and each that comes until it is mended. What is on its way is lost.
    pub fn cut(&self) {
        self.set(Way::Cut, true);
    }

    /// Nothing passes in either direction until it is mended, no end of a connection either; then
    /// comes what was on its way. Connections that are made meanwhile hear nothing.
    pub fn hold(&self) {
        self.set(Way::Held, false);
    }

    /// Each frame takes this long, one in twenty meets a loss and holds up those behind it, and none
    /// comes in one piece.
    pub fn slow(&self, each: Duration) {
        self.set(Way::Slow(each), false);
    }

    /// Everything passes at once.
    pub fn mend(&self) {
        self.set(Way::Open, false);
    }

    /// Has everything that passes looked at; `None`: no more.
    pub fn tap(&self, tap: Option<Tap>) {
        *lock(&self.state.tap) = tap;
    }

    fn set(&self, way: Way, end: bool) {
        self.state.now.send_modify(|now| {
            now.way = way;
            now.cuts += u64::from(end);
        });
    }
}

fn runtime() -> io::Result<&'static Runtime> {
    static RUNTIME: OnceLock<Option<Runtime>> = OnceLock::new();
    // A test's own runtime ends with the test, and a test may block it.
    let runtime = RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).enable_all().build().ok()
    });
    let none = || io::Error::other("no runtime for links");
    runtime.as_ref().ok_or_else(none)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(state: Arc<State>, listener: TcpListener, port: u16) {
    let mut now = state.now.subscribe();
    for connection in 0.. {
        // The kernel takes connections all the same: they hear nothing.
        if now.wait_for(|now| now.way != Way::Held).await.is_err() {
            return;
        }
        let Ok((client, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let state = Arc::clone(&state);
        let Now { way, cuts } = *state.now.borrow();
        if way == Way::Cut {
            continue;
        }
        tokio::spawn(async move {
            state.open.fetch_add(1, Ordering::SeqCst);
            let mut now = state.now.subscribe();
            tokio::select! {
                // An end or an error of either side: both are dropped.
                _ = serve(&state, connection, client, port) => {}
                _ = now.wait_for(|now| now.cuts != cuts) => {}
            }
            state.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

/// Correlation id, API and version of what was asked and not answered yet.
type Asked = Mutex<VecDeque<(i32, i16, i16)>>;

async fn serve(
    state: &Arc<State>,
    connection: u64,
    client: TcpStream,
    port: u16,
) -> io::Result<()> {
    let broker = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    client.set_nodelay(true)?;
    broker.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_broker, to_broker) = broker.into_split();
    let asked = Asked::default();
    let way = |heading| Direction {
        state,
        asked: &asked,
        connection,
        heading,
    };
    let (up, down) = (way(Heading::ToBroker), way(Heading::ToClient));
    let up = up.run(from_client, to_broker);
    let down = down.run(from_broker, to_client);
    tokio::try_join!(up, down).map(|_| ())
}

struct Direction<'d> {
    state: &'d State,
    asked: &'d Asked,
    connection: u64,
    heading: Heading,
}

impl Direction<'_> {
    async fn run(&self, from: OwnedReadHalf, to: OwnedWriteHalf) -> io::Result<()> {
        let (send, sent) = mpsc::channel(ON_THE_WAY_MAX);
        let (read, written) = (self.read(from, send), self.write(to, sent));
        tokio::try_join!(read, written).map(|_| ())
    }

    /// Until the end, which is the last thing on the way.
    async fn read(
        &self,
        mut from: OwnedReadHalf,
        send: mpsc::Sender<(Instant, Vec<u8>)>,
    ) -> io::Result<()> {
        loop {
            let length = match from.read_u32().await {
                Ok(length) if length <= FRAME_MAX => length,
                Ok(length) => return Err(io::Error::other(format!("a frame of {length} bytes"))),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(error),
            };
            let mut frame = length.to_be_bytes().to_vec();
            let whole = u64::from(length);
            if (&mut from).take(whole).read_to_end(&mut frame).await? < frame.len() - 4 {
                return Ok(());
            }
            let frame = match self.look(&frame) {
                Fate::Pass => frame,
                Fate::Instead(other) => other,
                Fate::Cut => return Err(io::ErrorKind::ConnectionReset.into()),
            };
            let way = self.state.now.borrow().way;
            let takes = match way {
                Way::Slow(each) => each,
                _ => Duration::ZERO,
            };
            if send.send((Instant::now() + takes, frame)).await.is_err() {
                return Ok(());
            }
        }
    }

    fn look(&self, frame: &[u8]) -> Fate {
        let i16_at = |at: usize| {
            let bytes = frame.get(at..).and_then(|rest| rest.first_chunk());
            bytes.map_or(-1, |bytes| i16::from_be_bytes(*bytes))
        };
        let i32_at = |at: usize| {
            let bytes = frame.get(at..).and_then(|rest| rest.first_chunk());
            bytes.map_or(-1, |bytes| i32::from_be_bytes(*bytes))
        };
        let mut asked = lock(self.asked);
        let (api, version) = match self.heading {
            Heading::ToBroker => {
                let (api, version) = (i16_at(4), i16_at(6));
                asked.push_back((i32_at(8), api, version));
                (api, version)
            }
            Heading::ToClient => {
                let id = i32_at(4);
                // What wants no answer (acks=0) is passed over.
                let at = asked.iter().position(|(of, ..)| *of == id);
                let head = at.and_then(|at| asked.drain(..=at).next_back());
                head.map_or((-1, -1), |(_, api, version)| (api, version))
            }
        };
        drop(asked);
        let tap = lock(&self.state.tap).clone();
        let passing = Passing {
            connection: self.connection,
            heading: self.heading,
            api,
            version,
            frame,
        };
        tap.map_or(Fate::Pass, |tap| tap(&passing))
    }

    async fn write(
        &self,
        mut to: OwnedWriteHalf,
        mut sent: mpsc::Receiver<(Instant, Vec<u8>)>,
    ) -> io::Result<()> {
        let mut now = self.state.now.subscribe();
        while let Some((due, frame)) = sent.recv().await {
            tokio::time::sleep_until(due).await;
            let way = now.wait_for(|now| now.way != Way::Held).await;
            let way = way.map_or(Way::Cut, |now| now.way);
            if let Way::Slow(_) = way {
                if fastrand::u8(..LOSS_ONE_IN) == 0 {
                    tokio::time::sleep(LOSS).await;
                }
                let (first, rest) = frame.split_at(fastrand::usize(..frame.len()));
                to.write_all(first).await?;
                tokio::task::yield_now().await;
                to.write_all(rest).await?;
            } else {
                to.write_all(&frame).await?;
            }
        }
        // The end passes no more than anything else.
        let _ = now.wait_for(|now| now.way != Way::Held).await;
        to.shutdown().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link to something that gives back what it gets.
    async fn to_an_echo() -> (Link, TcpStream) {
        let echo = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let link = Link::bind().unwrap();
        link.lead_to(echo.local_addr().unwrap().port()).unwrap();
        tokio::spawn(async move {
            loop {
                let (stream, _) = echo.accept().await.unwrap();
                let (mut from, mut to) = stream.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut from, &mut to).await });
            }
        });
        let client = TcpStream::connect(("127.0.0.1", link.port())).await;
        (link, client.unwrap())
    }

    const FRAME: [u8; 12] = [0, 0, 0, 8, 0, 3, 0, 9, 0, 0, 0, 7];

    async fn comes_back(client: &mut TcpStream) -> bool {
        let mut got = [0; FRAME.len()];
        let read = client.read_exact(&mut got);
        let read = tokio::time::timeout(Duration::from_millis(300), read).await;
        matches!(read, Ok(Ok(_)) if got == FRAME)
    }

    #[tokio::test]
    async fn what_is_held_comes_once_it_is_mended() {
        let (link, mut client) = to_an_echo().await;
        client.write_all(&FRAME).await.unwrap();
        assert!(comes_back(&mut client).await);
        link.hold();
        client.write_all(&FRAME).await.unwrap();
        assert!(!comes_back(&mut client).await);
        link.mend();
        assert!(comes_back(&mut client).await);
        link.slow(Duration::from_millis(20));
        client.write_all(&FRAME).await.unwrap();
        let mut got = [0; FRAME.len()];
        client.read_exact(&mut got).await.unwrap();
        assert_eq!(got, FRAME);
    }

    #[tokio::test]
    async fn what_is_cut_ends_and_no_other_comes_through() {
        let (link, mut client) = to_an_echo().await;
        client.write_all(&FRAME).await.unwrap();
        assert!(comes_back(&mut client).await);
        assert_eq!(link.connections(), 1);
        link.cut();
        assert!(!matches!(client.read(&mut [0]).await, Ok(1..)));
        let mut other = TcpStream::connect(("127.0.0.1", link.port()))
            .await
            .unwrap();
        let _ = other.write_all(&FRAME).await;
        assert!(!matches!(other.read(&mut [0]).await, Ok(1..)));
        link.mend();
        let mut third = TcpStream::connect(("127.0.0.1", link.port()))
            .await
            .unwrap();
        third.write_all(&FRAME).await.unwrap();
        assert!(comes_back(&mut third).await);
    }

    #[tokio::test]
    async fn what_passes_is_looked_at() {
        let (link, mut client) = to_an_echo().await;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let note = Arc::clone(&seen);
        link.tap(Some(Arc::new(move |passing| {
            let Passing { heading, api, .. } = *passing;
            note.lock().unwrap().push((heading, api, passing.version));
            let mut other = passing.frame.to_vec();
            other[11] = 8;
            match heading {
                Heading::ToBroker => Fate::Instead(other),
                Heading::ToClient => Fate::Cut,
            }
        })));
        client.write_all(&FRAME).await.unwrap();
        assert!(!matches!(client.read(&mut [0]).await, Ok(1..)));
        let seen = seen.lock().unwrap().clone();
        // The echo has the request's first field where an answer has its correlation id.
        assert_eq!(
            seen,
            [(Heading::ToBroker, 3, 9), (Heading::ToClient, -1, -1)]
        );
    }
}
