//! As much of a registry as a producer asks for, answered from a thread.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use anyhow::Result;
use serde_json::{Value, json};

/// Subjects with one schema each; the first has id 1. Gives the URL.
///
/// # Errors
/// No port to listen on.
pub(crate) fn start(subjects: &[(String, String)]) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    let subjects: Arc<[(String, String)]> = subjects.into();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let subjects = Arc::clone(&subjects);
            std::thread::spawn(move || while answer(&stream, &subjects).is_ok_and(|more| more) {});
        }
    });
    Ok(url)
}

/// False at the end of the connection.
fn answer(mut stream: &TcpStream, subjects: &[(String, String)]) -> Result<bool> {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    if reader.read_line(&mut request)? == 0 {
        return Ok(false);
    }
    let mut length = 0u64;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        if header.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse()?;
        }
    }
    std::io::copy(&mut reader.take(length), &mut std::io::sink())?;

    let path = request.split(' ').nth(1).unwrap_or_default();
    let parts: Vec<&str> = path
        .split('?')
        .next()
        .unwrap_or_default()
        .trim_matches('/')
        .split('/')
        .collect();
    let body = match parts.as_slice() {
        ["subjects", subject, "versions"] => subjects
            .iter()
            .zip(1..)
            .find(|((name, _), _)| name == subject)
            .map(|((name, text), id)| {
                json!({"id": id, "version": 1, "subject": name, "schema": text})
            }),
        ["schemas", "ids", id] => of_id(subjects, id).map(|(_, text)| json!({"schema": text})),
        ["schemas", "ids", id, "versions"] => {
            of_id(subjects, id).map(|(name, _)| json!([{"subject": name, "version": 1}]))
        }
        _ => None,
    };
    let (status, body) = match body {
        Some(body) => ("200 OK", body),
        None => (
            "404 Not Found",
            json!({"error_code": 40403, "message": "not found"}),
        ),
    };
    respond(&mut stream, status, &body)?;
    Ok(true)
}

fn of_id<'a>(subjects: &'a [(String, String)], id: &str) -> Option<&'a (String, String)> {
    let at = id.parse::<usize>().ok()?.checked_sub(1)?;
    subjects.get(at)
}

fn respond(stream: &mut impl Write, status: &str, body: &Value) -> Result<()> {
    let body = body.to_string();
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    stream.flush()?;
    Ok(())
}
