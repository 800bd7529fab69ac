//! Admin requests. Each call blocks until the answer is there or the time is up.

use std::ffi::{CString, c_char, c_int};
use std::time::Duration;

use rdkafka::bindings as c;
use rdkafka::client::Client;
use rdkafka::error::{IsError, RDKafkaErrorCode};
use rdkafka::types::{RDKafkaAdminOp as Op, RDKafkaResourceType};

use super::events::native;
use super::{Owned, c_string, items, partitions, text};
use crate::context::Context;

/// Why a request failed: librdkafka's or the broker's code, and its words.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: RDKafkaErrorCode,
    pub(crate) said: String,
}

impl Failure {
    fn timed_out() -> Self {
        Self {
            code: RDKafkaErrorCode::OperationTimedOut,
            said: "no answer".to_owned(),
        }
    }

    fn of(code: c::rd_kafka_resp_err_t, said: String) -> Self {
        Self {
            code: code.into(),
            said,
        }
    }
}

type Options = c::rd_kafka_AdminOptions_t;
type RawQueue = c::rd_kafka_queue_t;
type RawEvent = c::rd_kafka_event_t;

/// Sends a request by `send` and reads its answer by `read`.
fn request<T>(
    client: &Client<Context>,
    op: Op,
    timeout: Duration,
    set: impl FnOnce(*mut Options),
    send: impl FnOnce(*mut c::rd_kafka_t, *mut Options, *mut RawQueue),
    read: impl FnOnce(*mut RawEvent) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let rk = native(client);
    let ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client is alive; options and queue are ours to destroy, after the answer.
    let (options, queue) = unsafe {
        (
            Owned::new(
                c::rd_kafka_AdminOptions_new(rk, op),
                c::rd_kafka_AdminOptions_destroy,
            ),
            Owned::new(c::rd_kafka_queue_new(rk), c::rd_kafka_queue_destroy),
        )
    };
    let (Some(options), Some(queue)) = (options, queue) else {
        return Err(Failure::timed_out());
    };
    let mut said: [c_char; 256] = [0; 256];
    // SAFETY: the options are alive, and the buffer has the length given.
    let error = unsafe {
        c::rd_kafka_AdminOptions_set_request_timeout(
            options.ptr(),
            ms,
            said.as_mut_ptr(),
            said.len(),
        )
    };
    if error.is_error() {
        // SAFETY: librdkafka wrote a C string to the buffer.
        return Err(Failure::of(error, unsafe { text(said.as_ptr()) }));
    }
    set(options.ptr());
    send(rk, options.ptr(), queue.ptr());
    // The request ends by itself after its own time-out; a little more is for its answer.
    // SAFETY: the queue is alive; the event is ours to destroy.
    let event = unsafe {
        Owned::new(
            c::rd_kafka_queue_poll(queue.ptr(), ms.saturating_add(2_000)),
            c::rd_kafka_event_destroy,
        )
    }
    .ok_or_else(Failure::timed_out)?;
    // SAFETY: the event is alive, and its string is copied.
    let (error, said) = unsafe {
        (
            c::rd_kafka_event_error(event.ptr()),
            text(c::rd_kafka_event_error_string(event.ptr())),
        )
    };
    if error.is_error() {
        return Err(Failure::of(error, said));
    }
    read(event.ptr())
}

/// Frees an error object after reading it; null is no error.
///
/// # Safety
/// `error` is null or an error object that the caller owns.
unsafe fn take_error(error: *mut c::rd_kafka_error_t) -> Result<(), Failure> {
    // SAFETY: by the caller's word.
    match unsafe { Owned::new(error, c::rd_kafka_error_destroy) } {
        None => Ok(()),
        // SAFETY: the object is alive.
        Some(error) => Err(unsafe { read_error(error.ptr()) }),
    }
}

/// # Safety
/// `error` is a valid error object.
unsafe fn read_error(error: *const c::rd_kafka_error_t) -> Failure {
    // SAFETY: by the caller's word; the string is copied.
    unsafe {
        Failure::of(
            c::rd_kafka_error_code(error),
            text(c::rd_kafka_error_string(error)),
        )
    }
}

/// Sets and unsets single settings of a topic; the others stay (KIP-339).
pub(crate) fn alter_topic_configs(
    client: &Client<Context>,
    topic: &str,
    set: &[(String, String)],
    unset: &[String],
    timeout: Duration,
) -> Result<(), Failure> {
    use c::rd_kafka_AlterConfigOpType_t as Change;
    let name = c_string(topic);
    // SAFETY: the name is a valid C string; the resource is ours to destroy.
    let resource = unsafe {
        Owned::new(
            c::rd_kafka_ConfigResource_new(
                RDKafkaResourceType::RD_KAFKA_RESOURCE_TOPIC,
                name.as_ptr(),
            ),
            c::rd_kafka_ConfigResource_destroy,
        )
    }
    .ok_or_else(Failure::timed_out)?;
    for (key, value) in set {
        let (key, value) = (c_string(key), c_string(value));
        // SAFETY: the resource is alive and copies both strings; the error is ours.
        unsafe {
            take_error(c::rd_kafka_ConfigResource_add_incremental_config(
                resource.ptr(),
                key.as_ptr(),
                Change::RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET,
                value.as_ptr(),
            ))?;
        }
    }
    for key in unset {
        let key = c_string(key);
        // SAFETY: as above; a null value is what DELETE asks for.
        unsafe {
            take_error(c::rd_kafka_ConfigResource_add_incremental_config(
                resource.ptr(),
                key.as_ptr(),
                Change::RD_KAFKA_ALTER_CONFIG_OP_TYPE_DELETE,
                std::ptr::null(),
            ))?;
        }
    }
    let mut resources = [resource.ptr()];
    request(
        client,
        Op::RD_KAFKA_ADMIN_OP_INCREMENTALALTERCONFIGS,
        timeout,
        |_| {},
        |rk, options, queue| {
            // SAFETY: all are alive; librdkafka copies the resources before it returns.
            unsafe {
                c::rd_kafka_IncrementalAlterConfigs(rk, resources.as_mut_ptr(), 1, options, queue);
            }
        },
        |event| {
            let mut count = 0;
            // SAFETY: the event is of this kind; the results live as long as it does.
            unsafe {
                let result = c::rd_kafka_event_IncrementalAlterConfigs_result(event);
                let all =
                    c::rd_kafka_IncrementalAlterConfigs_result_resources(result, &raw mut count);
                for one in items(all, count) {
                    let error = c::rd_kafka_ConfigResource_error(*one);
                    if error.is_error() {
                        return Err(Failure::of(
                            error,
                            text(c::rd_kafka_ConfigResource_error_string(*one)),
                        ));
                    }
                }
            }
            Ok(())
        },
    )
}

/// An offset of one partition.
#[derive(Debug)]
pub(crate) struct ListedOffset {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    /// −1 where there is none.
    pub(crate) offset: i64,
    /// −1 where there is none.
    pub(crate) timestamp: i64,
    pub(crate) failure: Option<RDKafkaErrorCode>,
}

/// Special values of the offset asked for.
pub(crate) const EARLIEST: i64 = -2;
pub(crate) const LATEST: i64 = -1;
pub(crate) const MAX_TIMESTAMP: i64 = -3;

/// Offsets of many partitions in one request per broker: by timestamp (ms), or one of the special
/// values above.
pub(crate) fn list_offsets(
    client: &Client<Context>,
    asked: &[(String, i32, i64)],
    read_committed: bool,
    timeout: Duration,
) -> Result<Vec<ListedOffset>, Failure> {
    use c::rd_kafka_IsolationLevel_t as Isolation;
    let list = partition_list(asked.iter().map(|(t, p, o)| (t.as_str(), *p, Some(*o))))?;
    request(
        client,
        Op::RD_KAFKA_ADMIN_OP_LISTOFFSETS,
        timeout,
        |options| {
            let level = if read_committed {
                Isolation::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED
            } else {
                Isolation::RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED
            };
            // SAFETY: the options are alive; the error is ours. It fails only for other requests.
            let _ =
                unsafe { take_error(c::rd_kafka_AdminOptions_set_isolation_level(options, level)) };
        },
        |rk, options, queue| {
            // SAFETY: all are alive; librdkafka copies the list before it returns.
            unsafe { c::rd_kafka_ListOffsets(rk, list.ptr(), options, queue) };
        },
        |event| {
            let mut count = 0;
            // SAFETY: the event is of this kind; the results live as long as it does.
            unsafe {
                let result = c::rd_kafka_event_ListOffsets_result(event);
                let all = c::rd_kafka_ListOffsets_result_infos(result, &raw mut count);
                Ok(items(all, count)
                    .iter()
                    .map(|info| {
                        let at = &*c::rd_kafka_ListOffsetsResultInfo_topic_partition(*info);
                        ListedOffset {
                            topic: text(at.topic),
                            partition: at.partition,
                            offset: at.offset,
                            timestamp: c::rd_kafka_ListOffsetsResultInfo_timestamp(*info),
                            failure: at.err.is_error().then(|| at.err.into()),
                        }
                    })
                    .collect())
            }
        },
    )
}

fn partition_list<'a>(
    all: impl Iterator<Item = (&'a str, i32, Option<i64>)>,
) -> Result<Owned<c::rd_kafka_topic_partition_list_t>, Failure> {
    // SAFETY: the list is ours to destroy.
    let list = unsafe {
        Owned::new(
            c::rd_kafka_topic_partition_list_new(16),
            c::rd_kafka_topic_partition_list_destroy,
        )
    }
    .ok_or_else(Failure::timed_out)?;
    for (topic, partition, offset) in all {
        let topic = c_string(topic);
        // SAFETY: the list is alive, copies the name, and gives its new element.
        unsafe {
            let one = c::rd_kafka_topic_partition_list_add(list.ptr(), topic.as_ptr(), partition);
            if let (Some(one), Some(offset)) = (one.as_mut(), offset) {
                one.offset = offset;
            }
        }
    }
    Ok(list)
}

/// One consumer group in a listing.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) id: String,
    pub(crate) simple: bool,
    pub(crate) state: c::rd_kafka_consumer_group_state_t,
    pub(crate) kind: c::rd_kafka_consumer_group_type_t,
}

/// All consumer groups of all brokers. Fails only if every broker failed.
pub(crate) fn list_groups(
    client: &Client<Context>,
    timeout: Duration,
) -> Result<Vec<Listed>, Failure> {
    request(
        client,
        Op::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS,
        timeout,
        |_| {},
        |rk, options, queue| {
            // SAFETY: all are alive.
            unsafe { c::rd_kafka_ListConsumerGroups(rk, options, queue) };
        },
        |event| {
            let (mut count, mut failed) = (0, 0);
            // SAFETY: the event is of this kind; the results live as long as it does.
            unsafe {
                let result = c::rd_kafka_event_ListConsumerGroups_result(event);
                let all = c::rd_kafka_ListConsumerGroups_result_valid(result, &raw mut count);
                let errors = c::rd_kafka_ListConsumerGroups_result_errors(result, &raw mut failed);
                if count == 0
                    && let Some(error) = items(errors, failed).first()
                {
                    return Err(read_error(*error));
                }
                Ok(items(all, count)
                    .iter()
                    .map(|group| Listed {
                        id: text(c::rd_kafka_ConsumerGroupListing_group_id(*group)),
                        simple: c::rd_kafka_ConsumerGroupListing_is_simple_consumer_group(*group)
                            != 0,
                        state: c::rd_kafka_ConsumerGroupListing_state(*group),
                        kind: c::rd_kafka_ConsumerGroupListing_type(*group),
                    })
                    .collect())
            }
        },
    )
}

/// One group in full.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) id: String,
    pub(crate) state: c::rd_kafka_consumer_group_state_t,
    pub(crate) kind: c::rd_kafka_consumer_group_type_t,
    pub(crate) members: Vec<Member>,
    pub(crate) failure: Option<Failure>,
}

/// A member of a group.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) client_id: String,
    pub(crate) consumer_id: String,
    pub(crate) host: String,
    pub(crate) assigned: Vec<(String, i32)>,
}

/// Describes groups.
pub(crate) fn describe_groups(
    client: &Client<Context>,
    ids: &[String],
    timeout: Duration,
) -> Result<Vec<Described>, Failure> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<CString> = ids.iter().map(|id| c_string(id)).collect();
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    request(
        client,
        Op::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS,
        timeout,
        |_| {},
        |rk, options, queue| {
            // SAFETY: all are alive; librdkafka copies the names before it returns.
            unsafe {
                c::rd_kafka_DescribeConsumerGroups(
                    rk,
                    pointers.as_mut_ptr(),
                    pointers.len(),
                    options,
                    queue,
                );
            }
        },
        |event| {
            let mut count = 0;
            // SAFETY: the event is of this kind; the results live as long as it does.
            unsafe {
                let result = c::rd_kafka_event_DescribeConsumerGroups_result(event);
                let all = c::rd_kafka_DescribeConsumerGroups_result_groups(result, &raw mut count);
                Ok(items(all, count)
                    .iter()
                    .map(|group| described(*group))
                    .collect())
            }
        },
    )
}

/// # Safety
/// `group` is a valid description.
unsafe fn described(group: *const c::rd_kafka_ConsumerGroupDescription_t) -> Described {
    // SAFETY: by the caller's word; everything is copied.
    unsafe {
        let error = c::rd_kafka_ConsumerGroupDescription_error(group);
        let failed = !error.is_null() && c::rd_kafka_error_code(error).is_error();
        let members = c::rd_kafka_ConsumerGroupDescription_member_count(group);
        Described {
            id: text(c::rd_kafka_ConsumerGroupDescription_group_id(group)),
            state: c::rd_kafka_ConsumerGroupDescription_state(group),
            kind: c::rd_kafka_ConsumerGroupDescription_type(group),
            failure: failed.then(|| read_error(error)),
            members: (0..members)
                .map(|index| {
                    let member = c::rd_kafka_ConsumerGroupDescription_member(group, index);
                    let assignment = c::rd_kafka_MemberDescription_assignment(member);
                    let assigned = if assignment.is_null() {
                        std::ptr::null()
                    } else {
                        c::rd_kafka_MemberAssignment_partitions(assignment)
                    };
                    Member {
                        client_id: text(c::rd_kafka_MemberDescription_client_id(member)),
                        consumer_id: text(c::rd_kafka_MemberDescription_consumer_id(member)),
                        host: text(c::rd_kafka_MemberDescription_host(member)),
                        assigned: partitions(assigned)
                            .iter()
                            .map(|at| (text(at.topic), at.partition))
                            .collect(),
                    }
                })
                .collect(),
        }
    }
}

/// Committed offsets of a group.
pub(crate) fn group_offsets(
    client: &Client<Context>,
    group: &str,
    timeout: Duration,
) -> Result<Vec<(String, i32, i64)>, Failure> {
    let name = c_string(group);
    // SAFETY: the name is a valid C string; null asks for all partitions; ours to destroy.
    let asked = unsafe {
        Owned::new(
            c::rd_kafka_ListConsumerGroupOffsets_new(name.as_ptr(), std::ptr::null()),
            c::rd_kafka_ListConsumerGroupOffsets_destroy,
        )
    }
    .ok_or_else(Failure::timed_out)?;
    let mut all_asked = [asked.ptr()];
    request(
        client,
        Op::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS,
        timeout,
        |_| {},
        |rk, options, queue| {
            // SAFETY: all are alive; librdkafka copies what is asked before it returns.
            unsafe {
                c::rd_kafka_ListConsumerGroupOffsets(rk, all_asked.as_mut_ptr(), 1, options, queue);
            }
        },
        |event| {
            let mut count = 0;
            let mut offsets = Vec::new();
            // SAFETY: the event is of this kind; the results live as long as it does.
            unsafe {
                let result = c::rd_kafka_event_ListConsumerGroupOffsets_result(event);
                let all =
                    c::rd_kafka_ListConsumerGroupOffsets_result_groups(result, &raw mut count);
                for group in items(all, count) {
                    let error = c::rd_kafka_group_result_error(*group);
                    if !error.is_null() && c::rd_kafka_error_code(error).is_error() {
                        return Err(read_error(error));
                    }
                    for at in partitions(c::rd_kafka_group_result_partitions(*group)) {
                        if !at.err.is_error() && at.offset >= 0 {
                            offsets.push((text(at.topic), at.partition, at.offset));
                        }
                    }
                }
            }
            Ok(offsets)
        },
    )
}

/// A topic as the brokers describe it.
#[derive(Debug)]
pub(crate) struct DescribedTopic {
    pub(crate) name: String,
    /// Kafka's base64 form of the topic's UUID.
    pub(crate) id: String,
    pub(crate) internal: bool,
    pub(crate) partitions: usize,
    /// Replicas of the partition that has fewest.
    pub(crate) replication: usize,
    /// Replicas in sync of the partition that has fewest.
    pub(crate) in_sync: usize,
}

/// Describes topics; those that are not there are left out.
pub(crate) fn describe_topics(
    client: &Client<Context>,
    topics: &[&str],
    timeout: Duration,
) -> Result<Vec<DescribedTopic>, Failure> {
    let names: Vec<CString> = topics.iter().map(|name| c_string(name)).collect();
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    // SAFETY: librdkafka copies the names; the collection is ours to destroy.
    let collection = unsafe {
        Owned::new(
            c::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len()),
            c::rd_kafka_TopicCollection_destroy,
        )
    }
    .ok_or_else(Failure::timed_out)?;
    request(
        client,
        Op::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
        timeout,
        |_| {},
        |rk, options, queue| {
            // SAFETY: all are alive.
            unsafe { c::rd_kafka_DescribeTopics(rk, collection.ptr(), options, queue) };
        },
        |event| {
            let mut count = 0;
            let mut described = Vec::new();
            // SAFETY: the event is of this kind; the results live as long as it does.
            unsafe {
                let result = c::rd_kafka_event_DescribeTopics_result(event);
                let all = c::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
                for topic in items(all, count) {
                    let error = c::rd_kafka_TopicDescription_error(*topic);
                    if !error.is_null() && c::rd_kafka_error_code(error).is_error() {
                        let failure = read_error(error);
                        if failure.code == RDKafkaErrorCode::UnknownTopicOrPartition {
                            continue;
                        }
                        return Err(failure);
                    }
                    let mut partitions = 0;
                    let each = c::rd_kafka_TopicDescription_partitions(*topic, &raw mut partitions);
                    let (mut replication, mut in_sync) = (usize::MAX, usize::MAX);
                    for partition in items(each, partitions) {
                        let (mut all, mut synced) = (0, 0);
                        c::rd_kafka_TopicPartitionInfo_replicas(*partition, &raw mut all);
                        c::rd_kafka_TopicPartitionInfo_isr(*partition, &raw mut synced);
                        replication = replication.min(all);
                        in_sync = in_sync.min(synced);
                    }
                    described.push(DescribedTopic {
                        name: text(c::rd_kafka_TopicDescription_name(*topic)),
                        id: text(c::rd_kafka_Uuid_base64str(
                            c::rd_kafka_TopicDescription_topic_id(*topic),
                        )),
                        internal: c::rd_kafka_TopicDescription_is_internal(*topic) != 0,
                        partitions,
                        replication: if partitions == 0 { 0 } else { replication },
                        in_sync: if partitions == 0 { 0 } else { in_sync },
                    });
                }
            }
            Ok(described)
        },
    )
}

/// Waits until any broker answers.
///
/// To be asked before an admin request: those go to one broker, mostly the controller, and while it is
/// down librdkafka (2.12) tries to connect to it again and again without a pause, a core for as long as
/// the request waits (`RD_KAFKA_OP_CONNECT` takes the back-off away, and each change of state asks for
/// it). A metadata request goes to any broker, and keeps to `reconnect.backoff.ms`.
pub(crate) fn answers(client: &Client<Context>, timeout: Duration) -> Result<(), Failure> {
    let mut metadata: *const c::rd_kafka_metadata = std::ptr::null();
    let millis = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
    // SAFETY: the client lives as long as it is borrowed; no topic is asked for.
    let code = unsafe {
        c::rd_kafka_metadata(
            native(client),
            0,
            std::ptr::null_mut(),
            &raw mut metadata,
            millis,
        )
    };
    if code.is_error() {
        return Err(Failure::of(code, "no broker answers".to_owned()));
    }
    // SAFETY: there is one where there is no error, and it is ours.
    unsafe { c::rd_kafka_metadata_destroy(metadata) };
    Ok(())
}

/// A broker: id, host, port.
type Node = (i32, String, u16);

/// The cluster's id, and its brokers.
pub(crate) fn describe_cluster(
    client: &Client<Context>,
    timeout: Duration,
) -> Result<(Option<String>, Vec<Node>), Failure> {
    request(
        client,
        Op::RD_KAFKA_ADMIN_OP_DESCRIBECLUSTER,
        timeout,
        |_| {},
        |rk, options, queue| {
            // SAFETY: all are alive.
            unsafe { c::rd_kafka_DescribeCluster(rk, options, queue) };
        },
        |event| {
            let mut count = 0;
            // SAFETY: the event is of this kind; the results live as long as it does.
            unsafe {
                let result = c::rd_kafka_event_DescribeCluster_result(event);
                let id = text(c::rd_kafka_DescribeCluster_result_cluster_id(result));
                let nodes = c::rd_kafka_DescribeCluster_result_nodes(result, &raw mut count);
                let nodes = items(nodes, count)
                    .iter()
                    .map(|node| {
                        (
                            c::rd_kafka_Node_id(*node),
                            text(c::rd_kafka_Node_host(*node)),
                            c::rd_kafka_Node_port(*node),
                        )
                    })
                    .collect();
                Ok(((!id.is_empty()).then_some(id), nodes))
            }
        },
    )
}
