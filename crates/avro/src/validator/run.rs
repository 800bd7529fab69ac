//! The quick walk: a compiled program over a datum.
//!
//! It says yes or nothing. `None` is any fault, and also what it leaves to the
//! exact walk (see [`super::walk`]): nesting near the depth limit.

use super::MAX_DEPTH;
use super::event_time::{Seen, Unit};
use super::program::{Op, Program};
use super::text::is_utf8;
use super::varint::{int, long, skip_int, skip_long};

/// What a walk carries along.
pub(super) struct Walk {
    /// Items without bytes that it may still meet.
    pub empty_items: u64,
    /// What it saw at the event-time field.
    pub seen: Seen,
}

/// Walks a datum from the root; where it ended.
#[inline]
pub(super) fn run(program: &Program, bytes: &[u8], walk: &mut Walk) -> Option<usize> {
    if program.least > bytes.len() as u64 {
        return None;
    }
    block(
        program,
        bytes,
        0,
        Round {
            block: 0,
            times: 1,
            depth: 0,
        },
        walk,
    )
}

/// A block to go through.
#[derive(Copy, Clone)]
struct Round {
    block: u32,
    times: u64,
    /// Levels entered before it.
    depth: u32,
}

fn block(
    program: &Program,
    bytes: &[u8],
    mut pos: usize,
    round: Round,
    walk: &mut Walk,
) -> Option<usize> {
    let Round {
        block,
        mut times,
        depth,
    } = round;
    let block = program.blocks.get(block as usize)?;
    if depth > 0 && depth + u32::from(block.levels) > MAX_DEPTH {
        return None;
    }
    let ops = program.ops.as_slice();
    let mut at = block.start as usize;
    loop {
        let op = ops.get(at)?;
        at += 1;
        match *op {
            Op::Return => {
                times -= 1;
                if times == 0 {
                    return Some(pos);
                }
                at = block.start as usize;
            }
            Op::Skip(length) => pos = skip(bytes, pos, u64::from(length))?,
            Op::Boolean => {
                if *bytes.get(pos)? > 1 {
                    return None;
                }
                pos += 1;
            }
            Op::Int => pos = skip_int(bytes, pos)?,
            Op::Long => pos = skip_long(bytes, pos)?,
            Op::Bytes => {
                let (length, start) = long(bytes, pos)?;
                pos = skip(bytes, start, u64::try_from(length).ok()?)?;
            }
            Op::Text => {
                let (start, end) = text(bytes, pos)?;
                if !is_utf8(bytes.get(start..end)?) {
                    return None;
                }
                pos = end;
            }
            Op::Enum(count) => {
                let (index, end) = int(bytes, pos)?;
                if !(0..i64::from(count)).contains(&index) {
                    return None;
                }
                pos = end;
            }
            Op::Optional { null, end } => {
                let byte = *bytes.get(pos)?;
                if byte == null {
                    pos += 1;
                    at = end as usize;
                } else if byte == 2 - null {
                    pos += 1;
                } else {
                    // Either no branch, or an index longer than needed.
                    let (index, after) = int(bytes, pos)?;
                    match index {
                        0 | 1 if index * 2 == i64::from(null) => at = end as usize,
                        0 | 1 => {}
                        _ => return None,
                    }
                    pos = after;
                }
            }
            Op::Fork { table, count } => {
                let (index, end) = int(bytes, pos)?;
                let index = u32::try_from(index).ok().filter(|index| *index < count)?;
                at = *program.targets.get(table as usize + index as usize)? as usize;
                pos = end;
            }
            Op::Jump(target) => at = target as usize,
            Op::Call {
                block: inner,
                levels,
            } => {
                let depth = depth + u32::from(levels);
                pos = self::block(
                    program,
                    bytes,
                    pos,
                    Round {
                        block: inner,
                        times: 1,
                        depth,
                    },
                    walk,
                )?;
            }
            Op::Items {
                block: inner,
                least,
                levels,
            } => {
                let depth = depth + u32::from(levels) + 1;
                pos = blocks(bytes, pos, |pos, count| {
                    let left = (bytes.len() - pos) as u64;
                    if count > left / u64::from(least) {
                        return None;
                    }
                    let round = Round {
                        block: inner,
                        times: count,
                        depth,
                    };
                    self::block(program, bytes, pos, round, walk)
                })?;
            }
            Op::FixedItems(size) => {
                pos = blocks(bytes, pos, |pos, count| {
                    skip(bytes, pos, count.checked_mul(u64::from(size))?)
                })?;
            }
            Op::EmptyItems => {
                pos = blocks(bytes, pos, |pos, count| {
                    walk.empty_items = walk.empty_items.checked_sub(count)?;
                    Some(pos)
                })?;
            }
            Op::TimeLong(unit) => {
                let (value, end) = long(bytes, pos)?;
                walk.seen = Seen::Number(unit, value);
                pos = end;
            }
            Op::TimeDays => {
                let (value, end) = int(bytes, pos)?;
                walk.seen = Seen::Number(Unit::Days, value);
                pos = end;
            }
            Op::TimeText => {
                let (start, end) = text(bytes, pos)?;
                if !is_utf8(bytes.get(start..end)?) {
                    return None;
                }
                walk.seen = Seen::Text(start, end);
                pos = end;
            }
            Op::Undecided => return None,
        }
    }
}

/// `length` bytes further, if the datum goes as far.
#[inline(always)]
fn skip(bytes: &[u8], pos: usize, length: u64) -> Option<usize> {
    let left = (bytes.len() - pos) as u64;
    // Fits: it is not above the length of a slice.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked to be within the slice"
    )]
    (length <= left).then_some(pos + length as usize)
}

/// Where the text at `pos` starts and ends.
#[inline(always)]
fn text(bytes: &[u8], pos: usize) -> Option<(usize, usize)> {
    let (length, start) = long(bytes, pos)?;
    Some((start, skip(bytes, start, u64::try_from(length).ok()?)?))
}

/// Goes over the blocks of an array or a map: a count and as many items, until
/// a count of 0. A negative count is followed by the size of the block in bytes.
#[inline(always)]
fn blocks(
    bytes: &[u8],
    mut pos: usize,
    mut items: impl FnMut(usize, u64) -> Option<usize>,
) -> Option<usize> {
    loop {
        let (count, after) = long(bytes, pos)?;
        if count > 0 {
            pos = items(after, count.unsigned_abs())?;
        } else if count == 0 {
            return Some(after);
        } else if count == i64::MIN {
            return None;
        } else {
            let (size, after) = long(bytes, after)?;
            let end = skip(bytes, after, u64::try_from(size).ok()?)?;
            pos = items(after, count.unsigned_abs())?;
            if pos != end {
                return None;
            }
        }
    }
}
