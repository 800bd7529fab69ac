//! The compiled form of a schema: a flat vector of small steps.
//!
//! Records dissolve into the steps of their fields, runs of fixed-width fields
//! into one. A block of steps of its own (with a [`Op::Return`] at its end) is
//! made only of what is entered more than once: items of arrays and maps, and
//! records that several places share or that contain themselves.

use std::collections::HashMap;

use crate::schema::{Kind, NodeId, Schema};

use super::event_time::Unit;
use super::size::{Size, sizes};
use super::{CompileError, MAX_DEPTH, size};

/// One step. Positions are indices into [`Program::ops`].
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) enum Op {
    /// The end of a block: the next round of it, or back to where it was entered.
    Return,
    /// So many bytes, whatever they hold.
    Skip(u32),
    /// 0 or 1.
    Boolean,
    /// An `int`.
    Int,
    /// A `long`.
    Long,
    /// A length and as many bytes.
    Bytes,
    /// A length and as many bytes of UTF-8.
    Text,
    /// An index below the number of symbols.
    Enum(u32),
    /// A union of null and one more: to `end` if null, else on with the next step.
    Optional {
        /// The byte that stands for null: 0 or 2.
        null: u8,
        /// Past the branch that is not null.
        end: u32,
    },
    /// Any other union: on at one of `count` targets, from `table` on.
    Fork {
        /// First of the branches in [`Program::targets`].
        table: u32,
        /// How many branches.
        count: u32,
    },
    /// On at another place.
    Jump(u32),
    /// Once through a block.
    Call {
        /// Which of [`Program::blocks`].
        block: u32,
        /// Levels entered since the start of the block that this step is in.
        levels: u8,
    },
    /// An array or map: Avro's blocks of items, each once through a block.
    Items {
        /// Which of [`Program::blocks`].
        block: u32,
        /// No item is shorter; at least 1.
        least: u32,
        /// Levels entered since the start of the block that this step is in.
        levels: u8,
    },
    /// An array of items of one size, at least 1, whatever they hold.
    FixedItems(u32),
    /// An array of items that take no bytes.
    EmptyItems,
    /// The event time, a `long` in this unit.
    TimeLong(Unit),
    /// The event time, an `int` of days.
    TimeDays,
    /// The event time as text.
    TimeText,
    /// What this walk does not decide: the exact one shall.
    Undecided,
}

/// A run of steps that ends with [`Op::Return`].
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Block {
    /// Its first step.
    pub start: u32,
    /// Records, unions and fixed-size items entered at most, one within the
    /// other, without entering another block.
    pub levels: u8,
}

/// A compiled schema. Block 0 is the root's.
#[derive(Clone, Debug)]
pub(super) struct Program {
    /// All steps.
    pub ops: Vec<Op>,
    /// Where the branches of unions begin.
    pub targets: Vec<u32>,
    /// The blocks.
    pub blocks: Vec<Block>,
    /// No datum is shorter.
    pub least: u64,
    /// The sizes of the schema's nodes, for the exact walk.
    pub sizes: Vec<Size>,
}

/// Compiles a schema, with the path of its event-time field if it has one.
pub(super) fn compile(schema: &Schema, event: Option<&[String]>) -> Result<Program, CompileError> {
    let sizes = sizes(schema);
    size::refuse_endless(schema, &sizes)?;
    let least = sizes
        .get(schema.root().index())
        .map_or(0, |size| size.least);
    let mut compiler = Compiler {
        schema,
        shared: shared_records(schema),
        sizes,
        ops: Vec::new(),
        targets: Vec::new(),
        blocks: vec![Block::default()],
        waiting: Vec::new(),
        of_record: HashMap::new(),
        levels: 0,
        event_found: false,
        fence: 0,
    };
    compiler.block(0, schema.root(), false, event)?;
    while let Some((block, node, keyed)) = compiler.waiting.pop() {
        compiler.block(block, node, keyed, None)?;
    }
    if let (Some(path), false) = (event, compiler.event_found) {
        return Err(CompileError::EventTime {
            field: path.join("."),
        });
    }
    let Compiler {
        ops,
        targets,
        blocks,
        sizes,
        ..
    } = compiler;
    Ok(Program {
        ops,
        targets,
        blocks,
        least,
        sizes,
    })
}

struct Compiler<'s> {
    schema: &'s Schema,
    sizes: Vec<Size>,
    /// Records that get a block of their own.
    shared: Vec<bool>,
    ops: Vec<Op>,
    targets: Vec<u32>,
    blocks: Vec<Block>,
    /// Blocks that are spoken for but not compiled yet; with a map's key before it or not.
    waiting: Vec<(u32, NodeId, bool)>,
    of_record: HashMap<NodeId, u32>,
    /// The deepest of the block in work.
    levels: u32,
    event_found: bool,
    /// A jump leads to here: steps from here on may not be fused with those before.
    fence: usize,
}

impl Compiler<'_> {
    fn block(
        &mut self,
        block: u32,
        node: NodeId,
        keyed: bool,
        event: Option<&[String]>,
    ) -> Result<(), CompileError> {
        let start = self.here()?;
        self.levels = 0;
        if keyed {
            self.ops.push(Op::Text);
        }
        // A shared record's own block must not call itself at once.
        if matches!(self.schema.node(node).kind, Kind::Record(_)) && event.is_none() && !keyed {
            self.record_or_skip(node, 0)?;
        } else {
            self.node(node, 0, event)?;
        }
        self.ops.push(Op::Return);
        self.fence = self.ops.len();
        let levels = u8::try_from(self.levels).unwrap_or(u8::MAX);
        if let Some(slot) = self.blocks.get_mut(block as usize) {
            *slot = Block { start, levels };
        }
        Ok(())
    }

    fn record_or_skip(&mut self, node: NodeId, level: u32) -> Result<(), CompileError> {
        let size = self.size(node);
        if size.exact {
            self.skip(size, level)
        } else {
            self.record(node, level, None)
        }
    }

    fn node(
        &mut self,
        id: NodeId,
        level: u32,
        event: Option<&[String]>,
    ) -> Result<(), CompileError> {
        let node = self.schema.node(id);
        let size = self.size(id);
        if size.exact {
            return self.skip(size, level);
        }
        if let Some([]) = event
            && let Some(unit) = Unit::of(node)
        {
            self.event_found = true;
            self.ops.push(match unit {
                Unit::Text => Op::TimeText,
                Unit::Days => Op::TimeDays,
                Unit::Millis | Unit::Micros | Unit::Nanos => Op::TimeLong(unit),
            });
            return Ok(());
        }
        match &node.kind {
            Kind::Null | Kind::Float | Kind::Double | Kind::Fixed(_) => {}
            Kind::Boolean => self.ops.push(Op::Boolean),
            Kind::Int => self.ops.push(Op::Int),
            Kind::Long => self.ops.push(Op::Long),
            Kind::Bytes => self.ops.push(Op::Bytes),
            Kind::String => self.ops.push(Op::Text),
            Kind::Enum(symbols) => {
                let count = u32::try_from(symbols.symbols.len()).unwrap_or(u32::MAX);
                self.ops.push(Op::Enum(count));
            }
            Kind::Array(items) => self.array(*items, level)?,
            Kind::Map(values) => {
                let least = self.size(*values).least.saturating_add(1);
                self.items(*values, true, least, level)?;
            }
            Kind::Union(branches) => self.union(branches, level, event)?,
            Kind::Record(_) => {
                if self.is_shared(id) && event.is_none() {
                    let block = self.block_of_record(id)?;
                    let levels = self.reach(level);
                    self.ops.push(Op::Call { block, levels });
                } else {
                    self.record(id, level, event)?;
                }
            }
        }
        Ok(())
    }

    /// The fields of a record, here and now.
    fn record(
        &mut self,
        id: NodeId,
        level: u32,
        event: Option<&[String]>,
    ) -> Result<(), CompileError> {
        let Kind::Record(record) = &self.schema.node(id).kind else {
            return Ok(());
        };
        if self.too_deep(level + 1) {
            return Ok(());
        }
        for field in &record.fields {
            let inner = match event {
                Some([head, rest @ ..]) if *head == field.name => Some(rest),
                _ => None,
            };
            self.node(field.node, level + 1, inner)?;
        }
        Ok(())
    }

    fn union(
        &mut self,
        branches: &[NodeId],
        level: u32,
        event: Option<&[String]>,
    ) -> Result<(), CompileError> {
        if self.too_deep(level + 1) {
            return Ok(());
        }
        let is_null = |id: &NodeId| matches!(self.schema.node(*id).kind, Kind::Null);
        let optional = match branches {
            [null, some] if is_null(null) => Some((0, *some)),
            [some, null] if is_null(null) => Some((2, *some)),
            _ => None,
        };
        if let Some((null, some)) = optional {
            let at = self.ops.len();
            self.ops.push(Op::Optional { null, end: 0 });
            self.fence = self.ops.len();
            self.node(some, level + 1, event)?;
            let end = self.here()?;
            self.patch(at, Op::Optional { null, end });
            self.fence = self.ops.len();
            return Ok(());
        }

        let table = index(self.targets.len())?;
        let count = index(branches.len())?;
        self.targets.resize(self.targets.len() + branches.len(), 0);
        self.ops.push(Op::Fork { table, count });
        let mut jumps = Vec::new();
        for (branch, target) in branches.iter().zip(table as usize..) {
            self.fence = self.ops.len();
            let here = self.here()?;
            if let Some(slot) = self.targets.get_mut(target) {
                *slot = here;
            }
            self.node(*branch, level + 1, event)?;
            jumps.push(self.ops.len());
            self.ops.push(Op::Jump(0));
        }
        let end = self.here()?;
        for at in jumps {
            self.patch(at, Op::Jump(end));
        }
        self.fence = self.ops.len();
        Ok(())
    }

    fn array(&mut self, items: NodeId, level: u32) -> Result<(), CompileError> {
        let size = self.size(items);
        if !size.exact {
            return self.items(items, false, size.least, level);
        }
        if size.least == 0 {
            self.reach(level + 1);
            self.ops.push(Op::EmptyItems);
            return Ok(());
        }
        if !self.too_deep(level + 1 + size.levels) {
            self.ops
                .push(u32::try_from(size.least).map_or(Op::Undecided, Op::FixedItems));
        }
        Ok(())
    }

    fn items(
        &mut self,
        node: NodeId,
        keyed: bool,
        least: u64,
        level: u32,
    ) -> Result<(), CompileError> {
        let is_record = matches!(self.schema.node(node).kind, Kind::Record(_));
        let block = if is_record && !keyed && self.is_shared(node) {
            self.block_of_record(node)?
        } else {
            let block = self.new_block()?;
            self.waiting.push((block, node, keyed));
            block
        };
        let least = u32::try_from(least).unwrap_or(u32::MAX);
        let levels = self.reach(level);
        self.ops.push(Op::Items {
            block,
            least,
            levels,
        });
        Ok(())
    }

    fn skip(&mut self, size: Size, level: u32) -> Result<(), CompileError> {
        if size.least == 0 || self.too_deep(level + size.levels) {
            return Ok(());
        }
        let Ok(length) = u32::try_from(size.least) else {
            self.ops.push(Op::Undecided);
            return Ok(());
        };
        let fusable = self.ops.len() > self.fence;
        if let Some(Op::Skip(before)) = self.ops.last_mut().filter(|_| fusable)
            && let Some(sum) = before.checked_add(length)
        {
            *before = sum;
        } else {
            self.ops.push(Op::Skip(length));
        }
        Ok(())
    }

    /// Notes that a level is reached; past the limit the exact walk decides.
    fn too_deep(&mut self, level: u32) -> bool {
        self.levels = self.levels.max(level);
        let too_deep = level > MAX_DEPTH;
        if too_deep {
            self.ops.push(Op::Undecided);
        }
        too_deep
    }

    fn reach(&mut self, level: u32) -> u8 {
        self.levels = self.levels.max(level);
        u8::try_from(level).unwrap_or(u8::MAX)
    }

    fn block_of_record(&mut self, id: NodeId) -> Result<u32, CompileError> {
        if let Some(block) = self.of_record.get(&id) {
            return Ok(*block);
        }
        let block = self.new_block()?;
        self.of_record.insert(id, block);
        self.waiting.push((block, id, false));
        Ok(block)
    }

    fn new_block(&mut self) -> Result<u32, CompileError> {
        let block = index(self.blocks.len())?;
        self.blocks.push(Block::default());
        Ok(block)
    }

    fn here(&self) -> Result<u32, CompileError> {
        index(self.ops.len())
    }

    fn patch(&mut self, at: usize, op: Op) {
        if let Some(slot) = self.ops.get_mut(at) {
            *slot = op;
        }
    }

    fn is_shared(&self, id: NodeId) -> bool {
        self.shared.get(id.index()).copied().unwrap_or(true)
    }

    fn size(&self, id: NodeId) -> Size {
        self.sizes.get(id.index()).copied().unwrap_or(Size {
            least: 0,
            exact: false,
            levels: 0,
        })
    }
}

/// How far positions may go: a schema's steps are no more than its nodes, a few
/// times, and those are capped where schemas are parsed.
fn index(length: usize) -> Result<u32, CompileError> {
    u32::try_from(length).map_err(|_| CompileError::TooLarge)
}

/// Records that more than one place leads to, the root's own included.
fn shared_records(schema: &Schema) -> Vec<bool> {
    let mut uses = vec![0_u32; schema.nodes().len()];
    let mut count = |id: NodeId| {
        if let Some(uses) = uses.get_mut(id.index()) {
            *uses = uses.saturating_add(1);
        }
    };
    count(schema.root());
    for node in schema.nodes() {
        match &node.kind {
            Kind::Array(inner) | Kind::Map(inner) => count(*inner),
            Kind::Union(branches) => branches.iter().copied().for_each(&mut count),
            Kind::Record(record) => record.fields.iter().for_each(|field| count(field.node)),
            _ => {}
        }
    }
    uses.into_iter().map(|uses| uses > 1).collect()
}
