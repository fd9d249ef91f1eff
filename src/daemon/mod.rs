//! Owns: the loop that ties store, engine and keeper together, and the sockets through which others meet it. The only
//! blocking in the program.
//! Never: deciding what runs (see `engine`).

mod farewell;
mod keeper_side;
mod lock;
mod logger;
mod order;
mod poke;
mod serve;
mod sockets;
mod subscription;
mod timer;
mod turn;

pub use farewell::bid_farewell;
pub use lock::{DaemonInfo, running_daemon};
pub use poke::Poke;
pub use serve::{Settings, serve};
pub use subscription::{Subscription, Wake};
pub use turn::{Done, Turn, turn};
