//! `POST /v1/audio/transcriptions`, `/v1/audio/translations` and `/v1/audio/speech`.

use bytes::Bytes;
use serde_json::{Value, json};

use super::form::Form;
use super::models;
use crate::answer::{Answer, Event, Refusal};
use crate::billing::Tokens;
use crate::question::Question;
use crate::words;

/// One frame of silence: MPEG-1 layer III, 128 kbit/s, 44.1 kHz.
const SILENT_FRAME: [u8; 4] = [0xff, 0xfb, 0x90, 0x64];
const SILENT_FRAME_BYTES: usize = 417;

/// Answers a request to write down what an audio file says: what its size decides.
pub(super) async fn transcribe(question: &Question) -> Result<Answer, Refusal> {
    if !question.is_form() {
        return Err(Refusal::missing("file"));
    }
    let form = Form::of(question).await?;
    let file = form.required("file")?;
    let model = form.text("model").ok_or_else(|| Refusal::missing("model"))?;
    models::known(model)?;
    let name = file.file_name.as_deref().unwrap_or("audio");
    let text = words::answer(&format!("{name} of {} bytes", file.content.len()), 0);
    // Sixteen kilobytes a second is what an ordinary MP3 takes.
    let seconds = (file.content.len() as f64 / 16_000.0).max(1.0);
    let usage = if model.starts_with("whisper") {
        json!({"type": "duration", "seconds": seconds.ceil() as u64})
    } else {
        let (input, output) = ((seconds * 10.0) as u64, words::count(&text));
        json!({
            "type": "tokens",
            "input_tokens": input,
            "input_token_details": {"text_tokens": 0, "audio_tokens": input},
            "output_tokens": output,
            "total_tokens": input + output,
        })
    };
    let bill = Tokens::reported(&usage);
    if form.text("stream") == Some("true") {
        return Ok(transcription_events(&text, &usage).billed(bill));
    }
    let answer = match form.text("response_format").unwrap_or("json") {
        "text" => Answer::document("text/plain; charset=utf-8", format!("{text}\n")),
        "srt" => Answer::document(
            "text/plain; charset=utf-8",
            format!("1\n00:00:00,000 --> 00:00:01,000\n{text}\n\n"),
        ),
        "vtt" => Answer::document(
            "text/vtt; charset=utf-8",
            format!("WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n{text}\n\n"),
        ),
        "verbose_json" => Answer::json(&json!({
            "task": if question.head.uri.path().ends_with("translations") { "translate" } else { "transcribe" },
            "language": "english",
            "duration": seconds,
            "text": text,
            "segments": [{
                "id": 0, "seek": 0, "start": 0.0, "end": seconds, "text": text, "tokens": [50364],
                "temperature": 0.0, "avg_logprob": -0.25, "compression_ratio": 1.2, "no_speech_prob": 0.01,
            }],
            "usage": usage,
        })),
        _ => Answer::json(&json!({"text": text, "usage": usage})),
    };
    Ok(answer.billed(bill))
}

fn transcription_events(text: &str, usage: &Value) -> Answer {
    let delta = |piece: words::Piece| {
        let payload = json!({"type": "transcript.text.delta", "delta": piece.text});
        Event::unnamed(&payload).carrying(piece.tokens)
    };
    let mut events: Vec<Event> = words::pieces(text, None).into_iter().map(delta).collect();
    events.push(Event::unnamed(&json!({"type": "transcript.text.done", "text": text, "usage": usage})));
    Answer::events(events)
}

/// Answers a request to speak: with silence. Only the MP3, WAV and PCM answers are playable files; other formats
/// get the right media type and the MP3's bytes.
pub(super) fn speak(question: &Question) -> Result<Answer, Refusal> {
    let document = question.document()?;
    models::known(question.required("model")?)?;
    let input = question.required("input")?;
    question.required("voice")?;
    let format = document.get("response_format").and_then(Value::as_str).unwrap_or("mp3");
    // A frame lasts 26 ms; three of them for each token are about the pace of speech.
    let input_tokens = words::count(input);
    let frames = input_tokens as usize * 3;
    let bill = Tokens { input: input_tokens, output: frames as u64, ..Tokens::default() };
    let audio: Bytes = match format {
        "wav" => [wav_header(frames * 2_304), vec![0; frames * 2_304]].concat().into(),
        "pcm" => vec![0; frames * 2_304].into(),
        _ => silence(frames).into(),
    };
    if document.get("stream_format").is_some_and(|format| format == "sse") {
        return Ok(speech_events(&audio, bill).billed(bill));
    }
    let content_type = match format {
        "wav" => "audio/wav",
        "pcm" => "audio/pcm",
        "opus" => "audio/opus",
        "aac" => "audio/aac",
        "flac" => "audio/flac",
        _ => "audio/mpeg",
    };
    Ok(Answer::document(content_type, audio).billed(bill))
}

fn speech_events(audio: &Bytes, bill: Tokens) -> Answer {
    use base64::Engine as _;
    const FRAMES_AT_ONCE: usize = 8;
    let encode = |part: &[u8]| base64::engine::general_purpose::STANDARD.encode(part);
    let delta = |part: &[u8]| {
        let frames = part.len().div_ceil(SILENT_FRAME_BYTES) as u64;
        Event::unnamed(&json!({"type": "speech.audio.delta", "audio": encode(part)})).carrying(frames)
    };
    let mut events: Vec<Event> = audio.chunks(SILENT_FRAME_BYTES * FRAMES_AT_ONCE).map(delta).collect();
    let Tokens { input, output, .. } = bill;
    let usage = json!({"input_tokens": input, "output_tokens": output, "total_tokens": input + output});
    events.push(Event::unnamed(&json!({"type": "speech.audio.done", "usage": usage})));
    Answer::events(events)
}

fn silence(frames: usize) -> Vec<u8> {
    let mut frame = vec![0; SILENT_FRAME_BYTES];
    frame[..SILENT_FRAME.len()].copy_from_slice(&SILENT_FRAME);
    frame.repeat(frames)
}

/// The header of a file of 16-bit samples, one channel, 24 kHz.
fn wav_header(length: usize) -> Vec<u8> {
    let length = u32::try_from(length).unwrap_or(u32::MAX - 36);
    let mut header = b"RIFF".to_vec();
    header.extend((length + 36).to_le_bytes());
    header.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    header.extend(24_000_u32.to_le_bytes());
    header.extend(48_000_u32.to_le_bytes());
    header.extend(b"\x02\0\x10\0data");
    header.extend(length.to_le_bytes());
    header
}
