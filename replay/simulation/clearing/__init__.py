"""The clearing house of the simulated venue: positions, collateral, margin, liquidation.

It is the other side of the engine's accounts and bands, so it shares no code with them: it decides
from the state of an account (equity against maintenance at the mark), closes positions with orders
in the book, and counts in integers.

Units
    Quantities are lots, signed (long above 0); prices and marks whole ticks, above 0. Money is in
    1e-6 of the quote currency. A tick of a lot is worth a whole number of that, or `open_ledger`
    refuses the market: so profit is exact, and only fees, funding and margin requirements round.
    Rates and leverage are in 1e-8, times in ns. Accounts and markets are numbers from 0; behind
    the accounts come the backstop vault (number `accounts`) and the insurance fund
    (`accounts + 1`), which have records like any other account.

A simulated second (all but `open_ledger`, `add_room` and what is in `states.py` is compiled and may
be called from other compiled loops)

    ledger = open_ledger(references, accounts, VenueMoney(...), fee_class)       ledger.py
    place_position(ledger, place)                                  before the first record
    deposit(ledger, account, amount)
    leverage, mode = change_leverage(ledger, account, market, leverage, mode)     accounts.py
    paid = withdraw(ledger, account, amount, marks)
    lots = largest_order(ledger, account, market, side, marks)     what its margin allows
    ledger = add_room(ledger, fills)                               before so many fills
    n = apply_fills(ledger, fills, moves)                          fills of the book
    orders = check_margin(ledger, marks, now)                      once a second, margin.py
        … the orders go to the book as immediate-or-cancel; their fills come back:
    n = apply_fills(ledger, fills, moves)                          with cause `LIQUIDATION`
    fills, moves = settle_unfilled(ledger, marks)                  settlement.py
    moves = pay_funding(ledger, rates, marks)                      on the hour
    equity = equity_of(ledger, account, marks)                     states.py

Matrices, by the columns named in `columns.py`
    fills   `FILL_COLUMNS`: market, maker, taker, the taker's signed lots, price, cause; the last
            two, what maker and taker pay, are written by `apply_fills`.
    moves   `MOVE_COLUMNS`: account, market (−1: none), amount, cause, and the row of `fills` that
            it belongs to. Each is a collateral record, and stands before the records of its fill
            (at the same time). `apply_fills` needs room for two rows a fill and returns how many
            it wrote.
    orders  `ORDER_COLUMNS`: account, market, signed lots, worst price (0: any), kind.
            `FIRST`: the liquidation begins, the resting orders of the account are cancelled
            before, with reason liquidation; it may have 0 lots, where no order is sent.
            `FURTHER`: later ones. `UNWIND`: the vault or the fund closes what it
            took over; its fills are ordinary trades.

Records
    A fill makes two, the taker's first. Cause of the taker's: that of the fill; of the maker's:
    `trade`, but for `adl`, which is forced on both. Fills of `settle_unfilled` come without the
    book. Causes have the numbers of the contract. The fund's amount (`equity_of` the fund) is
    written as a reference when it changes.
"""
