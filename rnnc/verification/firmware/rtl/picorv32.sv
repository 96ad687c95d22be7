/* SPDX-License-Identifier: 0BSD */
/* picorv32 with a memory of 16 MB at 0x80000000 that answers in the same cycle; barrel shifter, multiplier of one cycle. */
module top (input clk, input rst_n, output store, output [31:0] store_address, output [31:0] store_data);
    logic [31:0] memory [0:4194303];
    initial $readmemh("image.hex", memory);

    logic valid;
    logic [3:0] lanes;
    logic [31:0] address, stored;
    wire in_memory = address[31:24] == 8'h80;
    wire [31:0] loaded = memory[address[23:2]];

    always_ff @(posedge clk)
        if (valid && in_memory)
            for (int i = 0; i < 4; i++) if (lanes[i]) memory[address[23:2]][8*i +: 8] <= stored[8*i +: 8];
    assign store = valid & (lanes != 0) & ~in_memory;
    assign store_address = address;
    assign store_data = stored;

    picorv32 #(.COMPRESSED_ISA(1), .ENABLE_FAST_MUL(1), .ENABLE_DIV(1), .BARREL_SHIFTER(1), .CATCH_MISALIGN(0),
               .PROGADDR_RESET(32'h80000000)) core (
        .clk(clk), .resetn(rst_n), .trap(), .mem_valid(valid), .mem_instr(), .mem_ready(valid), .mem_addr(address),
        .mem_wdata(stored), .mem_wstrb(lanes), .mem_rdata(loaded), .pcpi_wr(1'b0), .pcpi_rd(32'b0), .pcpi_wait(1'b0),
        .pcpi_ready(1'b0), .irq(32'b0));
endmodule
