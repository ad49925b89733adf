import torch

from terradelta.train.order import Samples, batches, seed_step

from .tiny import Squares, settings


def test_every_epoch_shows_every_pair_once_in_an_order_of_its_own() -> None:
    samples = Samples(Squares(12), settings())
    epochs = [[samples.index(12 * epoch + place) for place in range(12)] for epoch in range(3)]
    assert all(sorted(epoch) == list(range(12)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert epochs[0] == [samples.index(place) for place in range(12)]
    other = Samples(Squares(12), settings(seed=1))
    assert epochs[0] != [other.index(place) for place in range(12)]


def test_a_later_start_gives_the_same_steps() -> None:
    torch.manual_seed(0)
    whole = list(batches(Squares(), settings(), 0, 0, 1))
    torch.manual_seed(99)
    rest = list(batches(Squares(), settings(), 7, 0, 1))
    assert (len(whole), len(rest)) == (10, 3)
    for one, other in zip(whole[7:], rest, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert not torch.equal(whole[0][0], whole[3][0])  # the same pairs in the next epoch, moved anew


def test_processes_share_a_batch_and_workers_change_nothing() -> None:
    whole = list(batches(Squares(), settings(), 8, 0, 1))
    parts = [list(batches(Squares(), settings(workers=1), 8, process, 2)) for process in (0, 1)]
    for step, batch in enumerate(whole):
        for position, tensor in enumerate(batch):
            joined = torch.cat([part[step][position] for part in parts])
            assert torch.equal(joined, tensor)


def test_a_step_draws_the_same_in_a_process_and_other_numbers_in_the_next() -> None:
    drawn = []
    for step, process in ((3, 0), (3, 1), (4, 0), (3, 0)):
        seed_step(0, step, process)
        drawn.append(torch.rand(()).item())
    assert drawn[0] == drawn[3]
    assert len(set(drawn)) == 3


def test_drawing_a_sample_leaves_the_generator_alone() -> None:
    samples = Samples(Squares(), settings())
    torch.manual_seed(5)
    expected = torch.rand(())
    torch.manual_seed(5)
    samples[3]
    assert torch.equal(torch.rand(()), expected)
