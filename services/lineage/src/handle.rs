//! Questions to the running lineage role.

use std::sync::Arc;

use meshwork_model::problem::Problem;
use meshwork_model::time::SharedClock;
use parking_lot::RwLock;

use crate::answer::LineageAnswer;
use crate::graph::Graph;
use crate::query::{answer, resolve};
use crate::walk::{Direction, WalkLimits};

/// Product steps walked where no depth is given.
pub const DEPTH_DEFAULT: u32 = 3;
/// Most product steps.
pub const DEPTH_MAX: u32 = 32;
/// Edges shown where no limit is given.
pub const LIMIT_DEFAULT: usize = 1000;
/// Most edges shown.
pub const LIMIT_MAX: usize = 10_000;
/// Most nodes entered by one walk, some 100 ms of work.
const VISITED_MAX: usize = 200_000;

/// How far the service has read.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Next offset of `mesh.lineage`.
    pub(crate) offset: i64,
    pub(crate) caught_up: bool,
    pub(crate) trouble: Option<String>,
}

/// What service and handles share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) graph: RwLock<Graph>,
    pub(crate) progress: RwLock<Progress>,
    pub(crate) clock: SharedClock,
}

/// Asks the running lineage role. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(crate) shared: Arc<Shared>,
}

impl Handle {
    /// Whether the topics have been read once up to their ends: an answer before that would be
    /// empty for what is not known yet.
    #[must_use]
    pub fn caught_up(&self) -> bool {
        self.shared.progress.read().caught_up
    }

    /// What lies upstream of a node: see [`Self::lineage`].
    ///
    /// # Errors
    /// See [`Self::lineage`].
    pub fn up(&self, name: &str, depth: u32) -> Result<LineageAnswer, Problem> {
        self.lineage(name, Direction::Up, depth, LIMIT_DEFAULT)
    }

    /// What lies downstream of a node: see [`Self::lineage`].
    ///
    /// # Errors
    /// See [`Self::lineage`].
    pub fn down(&self, name: &str, depth: u32) -> Result<LineageAnswer, Problem> {
        self.lineage(name, Direction::Down, depth, LIMIT_DEFAULT)
    }

    /// Walks from the node that `name` stands for: a product (`operations.departures`, with `:v1`,
    /// its URN or its topic), another topic, `group:<id>` or `producer:<name>`.
    ///
    /// # Errors
    /// No such node (`404`, with the nearest name), a depth or limit out of range (`400`), or not
    /// caught up yet (`503`).
    pub fn lineage(
        &self,
        name: &str,
        direction: Direction,
        depth: u32,
        limit: usize,
    ) -> Result<LineageAnswer, Problem> {
        if !(1..=DEPTH_MAX).contains(&depth) {
            return Err(Problem::bad_parameter(
                "depth",
                format!("depth is a number of product steps from 1 to {DEPTH_MAX}"),
            ));
        }
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(Problem::bad_parameter(
                "limit",
                format!("limit is a number of edges from 1 to {LIMIT_MAX}"),
            ));
        }
        let offset = {
            let progress = self.shared.progress.read();
            if !progress.caught_up {
                let detail = match &progress.trouble {
                    Some(trouble) => format!("lineage has not read its topics yet: {trouble}"),
                    None => "lineage has not read its topics yet; ask again in a moment".to_owned(),
                };
                return Err(Problem::new(
                    503,
                    "catching-up",
                    "Lineage is catching up",
                    detail,
                ));
            }
            progress.offset
        };
        let graph = self.shared.graph.read();
        let starts = resolve(&graph, name).map_err(|unknown| {
            Problem::new(
                404,
                "no-such-node",
                "Lineage knows no such node",
                unknown.to_string(),
            )
        })?;
        let limits = WalkLimits {
            depth,
            shown: limit,
            visited: VISITED_MAX,
        };
        Ok(answer(
            &graph,
            &starts,
            direction,
            limits,
            offset,
            self.shared.clock.now(),
        ))
    }
}
