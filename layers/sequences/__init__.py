"""Layers of sequences (N, T, D), N samples of T steps: embedding, recurrence, attention."""

from .attention import Attention, SelfAttention
from .embedding import Embedding, PositionalEmbedding
from .gru import GRU
from .lstm import LSTM
from .rnn import RNN

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Attention",
    "Embedding",
    "PositionalEmbedding",
    "SelfAttention",
]
