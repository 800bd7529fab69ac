//! librdkafka's C interface where rdkafka has none: admin requests, and events with the topic,
//! partition and offset that they are about. The only place with `unsafe`; what leaves it is safe.
#![expect(
    unsafe_code,
    reason = "calls into librdkafka; each block says why it is sound"
)]

pub(crate) mod admin;
pub(crate) mod events;

use std::ffi::{CStr, CString, c_char};

use rdkafka::bindings as c;

/// Owns a pointer that a librdkafka function frees.
pub(crate) struct Owned<T> {
    ptr: *mut T,
    free: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    /// Takes over `ptr`; `None` if it is null.
    ///
    /// # Safety
    /// `ptr` is null or was made by librdkafka, is owned by the caller, and is freed by `free`.
    pub(crate) unsafe fn new(ptr: *mut T, free: unsafe extern "C" fn(*mut T)) -> Option<Self> {
        // Not `then_some`, which would make, and drop, one of a null pointer.
        (!ptr.is_null()).then(|| Self { ptr, free })
    }

    pub(crate) fn ptr(&self) -> *mut T {
        self.ptr
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: `new` promises that `free` frees `ptr`, and nobody else does.
        unsafe { (self.free)(self.ptr) };
    }
}

/// Copies a C string; null gives an empty one.
///
/// # Safety
/// `text` is null or a valid C string for the length of the call.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: not null, and valid by the caller's word.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

/// A C string of `text`, cut at its first NUL: Kafka's names have none.
fn c_string(text: &str) -> CString {
    let bytes: Vec<u8> = text.bytes().take_while(|b| *b != 0).collect();
    CString::new(bytes).unwrap_or_default()
}

/// The items of a C array.
///
/// # Safety
/// `items` is null or points to `count` valid elements that outlive `'a`.
unsafe fn items<'a, T>(items: *const T, count: usize) -> &'a [T] {
    if items.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: not null, and valid by the caller's word.
    unsafe { std::slice::from_raw_parts(items, count) }
}

/// The elements of a list of topic partitions.
///
/// # Safety
/// `list` is null or a valid list that outlives `'a`.
unsafe fn partitions<'a>(
    list: *const c::rd_kafka_topic_partition_list_t,
) -> &'a [c::rd_kafka_topic_partition_t] {
    if list.is_null() {
        return &[];
    }
    // SAFETY: a valid list has `cnt` elements at `elems`.
    unsafe { items((*list).elems, usize::try_from((*list).cnt).unwrap_or(0)) }
}
