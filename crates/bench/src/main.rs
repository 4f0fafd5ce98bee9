mod cipher;
mod cpu;
mod in_process;
mod samples;
mod stream;
mod table;
mod user;
fn main() -> anyhow::Result<()> {
    println!("{}", user::table(5)?);
    Ok(())
}
