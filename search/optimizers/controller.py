"""The policy network of REINFORCE: an LSTM that chooses one parameter after the other."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cim_sim.types import Indices


class Controller(nn.Module):  # type: ignore[misc]
    """Each step reads an embedding of the previous choice and has a softmax of its own."""

    def __init__(
        self,
        choices: Sequence[int],
        rng: np.random.Generator,
        *,
        hidden: int,
        layers: int,
        learning_rate: float,
        entropy: float = 0.0,
    ) -> None:
        """Start near the uniform policy.

        Args:
            choices: number of choices of each parameter, in order.
            rng: draws the initial weights.
            hidden: width of the embedding and of each LSTM layer.
            layers: number of LSTM layers.
            learning_rate: step size of Adam.
            entropy: weight of the entropy bonus.
        """
        super().__init__()
        steps, most = len(choices), max(choices)
        self.embedding = nn.Parameter(torch.empty(steps, most, hidden))
        """Row 0 of step 0 is the start; row c of step t > 0 the choice c at t - 1."""
        self.lstm = nn.LSTM(hidden, hidden, layers, batch_first=True)
        self.head = nn.Parameter(torch.empty(steps, hidden, most))
        missing = np.arange(most) >= np.array(choices)[:, None]
        self.register_buffer("mask", torch.from_numpy(np.where(missing, -np.inf, 0.0)).float())
        self.entropy = entropy
        self._initialise(rng, 1 / hidden**0.5)
        self.optimizer = torch.optim.Adam(self.parameters(), lr=learning_rate)

    def sample(self, count: int, rng: np.random.Generator) -> Indices:
        """Draw `count` sequences of choices, [count, steps]."""
        uniform = rng.random((len(self.mask), count))
        chosen = np.zeros((count, len(self.mask)), dtype=np.int64)
        previous, state = torch.zeros(count, dtype=torch.long), None
        with torch.no_grad():
            for step, threshold in enumerate(uniform):
                out, state = self.lstm(self.embedding[step][previous][:, None], state)
                logits = out[:, 0] @ self.head[step] + self.mask[step]
                below = torch.softmax(logits.double(), dim=1).cumsum(dim=1).numpy()
                drawn = (below / below[:, -1:] <= threshold[:, None]).sum(axis=1)
                chosen[:, step], previous = drawn, torch.from_numpy(drawn)
        return chosen

    def step(self, chosen: Indices, advantages: NDArray[np.float64]) -> None:
        """Take one Adam step up the policy gradient.

        Args:
            chosen: choices, [episodes, steps].
            advantages: score above the baseline, [episodes].
        """
        log_probabilities = self._log_probabilities(torch.from_numpy(chosen))
        taken = log_probabilities.gather(2, torch.from_numpy(chosen)[:, :, None])[:, :, 0]
        loss = -(taken.sum(dim=1) * torch.from_numpy(advantages).float()).mean()
        if self.entropy:
            chances = log_probabilities.exp()
            finite = torch.where(chances > 0, log_probabilities, 0.0)
            loss = loss + self.entropy * (chances * finite).sum(dim=(1, 2)).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def _log_probabilities(self, chosen: Tensor) -> Tensor:
        """Log-probability of every choice along given sequences, [episodes, steps, choices]."""
        start = torch.zeros_like(chosen[:, :1])
        previous = torch.cat([start, chosen[:, :-1]], dim=1)
        inputs = self.embedding[torch.arange(len(self.mask)), previous]
        out, _ = self.lstm(inputs)
        logits = torch.einsum("bth,thc->btc", out, self.head) + self.mask
        return torch.log_softmax(logits, dim=2)

    def _initialise(self, rng: np.random.Generator, bound: float) -> None:
        with torch.no_grad():
            for parameter in self.parameters():
                values = rng.uniform(-bound, bound, tuple(parameter.shape))
                parameter.copy_(torch.from_numpy(values))
